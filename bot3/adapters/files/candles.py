"""Read candles from files: of freqtrade's data directories without conversion, and of tables with named columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import RLock

import pandas as pd

from bot3.adapters.files.candle_format import read_frame
from bot3.adapters.files.candle_names import CANDLES, FUNDING, CandleFile, IgnoredFile, candle_file, name_of_pair
from bot3.errors import CandleError
from bot3.market.candle_series import CandleSeries, funding_between, no_funding
from bot3.market.candles import CandleReport, checked_candles, checked_funding

_NAMED = 8

_Stamps = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    """A validated series, and the modification times and inodes of the files that it was loaded from."""

    stamps: _Stamps
    series: CandleSeries
    report: CandleReport


class FileCandles:
    """Reads candles from data directories (`CandleReader`).

    Files are read on first access, validated and cached; a file that was replaced since is read again. If several files contain candles of
    a pair and timeframe, their candles are joined.

    Parameters
    ----------
    directories : Path
        Data directories; files may lie in them or in their folder `futures`.
    funding_from : sequence of Path
        Further data directories, from which only funding rates are read.
    timeframe : str
        Timeframe of the pairs that `pairs` lists.
    wall_now : callable
        Returns the wall time when a file is read: candles that close after it are still in progress and are dropped. A file's modification
        time cannot be used instead, because copies and archives change it.

    Raises
    ------
    CandleError
        If a directory cannot be read, or none of them contains candles of the timeframe.
    """

    def __init__(
        self, *directories: Path, wall_now: Callable[[], datetime], timeframe: str = "5m", funding_from: Sequence[Path] = ()
    ) -> None:
        self._timeframe = timeframe
        self._wall_now = wall_now
        named = [found for directory in directories for found in files_of(directory)]
        named += [
            found for directory in funding_from for found in files_of(directory) if isinstance(found, CandleFile) and found.kind == FUNDING
        ]
        self.ignored = tuple(found for found in named if isinstance(found, IgnoredFile))
        self._files: dict[str, list[CandleFile]] = defaultdict(list)
        for found in named:
            if isinstance(found, CandleFile):
                self._files[found.name].append(found)
        self._loaded: dict[tuple[str, str], _Loaded] = {}
        self._funding: dict[str, tuple[_Stamps, pd.DataFrame]] = {}
        self._lock = RLock()
        if not self.pairs():
            raise CandleError(
                f"no {timeframe} candles in {', '.join(map(str, directories)) or 'no directory'}: files are named like "
                f"BTC_USDT_USDT-{timeframe}-futures.feather or BTC_USDT-{timeframe}.csv{self._ignored_words()}"
            )

    def pairs(self) -> tuple[str, ...]:
        """Return the pairs that have candles of the timeframe, sorted."""
        return tuple(sorted({file.pair for file in self._candle_files() if file.timeframe == self._timeframe}))

    def timeframes(self, pair: str) -> tuple[str, ...]:
        """Return the timeframes of the pair's files, sorted as text; an empty tuple for an unknown pair."""
        return tuple(sorted({file.timeframe for file in self._files_of(pair, kind=CANDLES)}))

    def span(self, pair: str, timeframe: str) -> tuple[datetime, datetime]:
        """Return the first open time and the last close time available. Raises CandleError if there are no such candles."""
        return self._load(pair, timeframe).series.span

    def candles(self, pair: str, timeframe: str, *, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the candle frame of candles that open at or after start and are closed by end."""
        return self._load(pair, timeframe).series.between(start=start, end=end)

    def rate_at(self, pair: str, timeframe: str, at: datetime) -> float:
        """Return the open of the candle in progress at a time, otherwise the last close."""
        return self._load(pair, timeframe).series.rate_at(at)

    def funding(self, pair: str, *, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the funding frame with start <= time < end; empty if no rate is available."""
        return funding_between(self._all_funding(pair), start=start, end=end)

    def reports(self) -> tuple[CandleReport, ...]:
        """Read all candles of the timeframe and return their validation reports, one per pair."""
        return tuple(self._load(pair, self._timeframe).report for pair in self.pairs())

    def _load(self, pair: str, timeframe: str) -> _Loaded:
        paths = [file.path for file in self._files_of(pair, kind=CANDLES) if file.timeframe == timeframe]
        if not paths:
            raise CandleError(f"there are no {timeframe} candles of {pair}: there are {self._have(pair)}{self._ignored_words(pair)}")
        stamps = _stamps(paths)
        with self._lock:
            loaded = self._loaded.get((pair, timeframe))
            if loaded is None or loaded.stamps != stamps:
                loaded = self._read(paths, pair=pair, timeframe=timeframe, stamps=stamps)
                self._loaded[pair, timeframe] = loaded
            return loaded

    def _read(self, paths: list[Path], *, pair: str, timeframe: str, stamps: _Stamps) -> _Loaded:
        now = self._wall_now()
        gated = [candles_of(path, pair=pair, timeframe=timeframe, now=now) for path in paths]
        candles, report = gated[0]
        if len(gated) > 1:
            candles, report = checked_candles(pd.concat([frame for frame, _ in gated]), pair=pair, timeframe=timeframe, now=now)
        return _Loaded(stamps=stamps, series=CandleSeries(candles, pair=pair, timeframe=timeframe), report=report)

    def _all_funding(self, pair: str) -> pd.DataFrame:
        paths = [file.path for file in self._files_of(pair, kind=FUNDING)]
        stamps = _stamps(paths)
        with self._lock:
            known = self._funding.get(pair)
            if known is None or known[0] != stamps:
                known = (stamps, _read_funding(paths, pair=pair))
                self._funding[pair] = known
            return known[1]

    def _candle_files(self) -> Iterable[CandleFile]:
        return (file for found in self._files.values() for file in found if file.kind == CANDLES)

    def _files_of(self, pair: str, *, kind: str) -> list[CandleFile]:
        return [file for file in self._files.get(name_of_pair(pair), ()) if file.kind == kind and file.holds(pair)]

    def _have(self, pair: str) -> str:
        if timeframes := sorted({file.timeframe for file in self._files_of(pair, kind=CANDLES)}):
            return f"{', '.join(timeframes)} of it"
        spot = pair.partition(":")[0]
        if others := sorted({file.pair for file in self._candle_files() if file.pair.partition(":")[0] == spot}):
            market = "futures are" if ":" not in pair else "other contracts and spot are"
            return f"candles of {', '.join(others)}, which is not {pair}: {market} another market, name the directory of this one"
        return ", ".join(self.pairs()[:_NAMED]) + (f" and {len(self.pairs()) - _NAMED} more" if len(self.pairs()) > _NAMED else "")

    def _ignored_words(self, pair: str | None = None) -> str:
        """Return which files were ignored and why; for a pair, only files whose names begin with its base currency."""
        base = None if pair is None else name_of_pair(pair.partition("/")[0])
        found = [file for file in self.ignored if base is None or file.path.name.startswith(base)]
        named = "; ".join(f"{file.path.name} is ignored: {file.reason}" for file in found[:_NAMED])
        return f"; {named}{f'; and {len(found) - _NAMED} more' if len(found) > _NAMED else ''}" if found else ""


def files_of(directory: Path) -> list[CandleFile | IgnoredFile]:
    """Parse the name of every file in a data directory and its folder `futures`; hidden files are left out.

    Raises
    ------
    CandleError
        If the directory cannot be read.
    """
    if not directory.is_dir():
        raise CandleError(f"{directory} is not a directory: name a freqtrade data directory, such as user_data/data/binance")
    try:
        folders = [folder for folder in (directory, directory / "futures") if folder.is_dir()]
        paths = sorted(path for folder in folders for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise CandleError(f"{directory} cannot be read ({error.strerror}): give this user read permission") from error
    return [candle_file(path) for path in paths]


def _stamps(paths: list[Path]) -> _Stamps:
    """Return each file's modification time and inode, which change when it is replaced, also twice within one tick of the clock."""
    try:
        return tuple((found.st_mtime_ns, found.st_ino) for found in (path.stat() for path in paths))
    except OSError as error:
        raise CandleError(f"{error.filename} cannot be read ({error.strerror}): fetch it again") from error


def candles_of(path: Path, *, pair: str, timeframe: str, now: datetime) -> tuple[pd.DataFrame, CandleReport]:
    """Return the candle frame of a file and its validation report. Raises CandleError if the file is invalid or has no closed candle."""
    frame = read_frame(path)
    if not len(frame):
        raise CandleError(f"{path} contains no candle: fetch it again or remove it")
    try:
        candles, report = checked_candles(frame, pair=pair, timeframe=timeframe, now=now)
    except CandleError as error:
        raise CandleError(f"{path}: {error}") from error
    if len(frame) and not len(candles):
        raise CandleError(f"{path}: all {len(frame)} candles close after {now.isoformat()}: check this machine's clock and the open times")
    return candles, report


def funding_of(path: Path, *, pair: str) -> pd.DataFrame:
    """Return the funding frame of a file. Raises CandleError if the file is invalid."""
    frame = read_frame(path)
    # Freqtrade stores the rate in the column `open`.
    named = frame if "funding_rate" in frame.columns else frame.rename(columns={"open": "funding_rate"})
    try:
        return checked_funding(named, pair=pair)
    except CandleError as error:
        raise CandleError(f"{path}: {error}") from error


def _read_funding(paths: list[Path], *, pair: str) -> pd.DataFrame:
    frames = [funding_of(path, pair=pair) for path in paths]
    joined = pd.concat(frames) if frames else no_funding()
    return joined.drop_duplicates("time", keep="last").sort_values("time", ignore_index=True)
