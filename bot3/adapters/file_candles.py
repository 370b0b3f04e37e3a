"""Candles from files: freqtrade data directories as they are, and tables with named columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock

import pandas as pd

from bot3.adapters.candle_files import CANDLES, FUNDING, CandleFile, candle_file, read_frame
from bot3.errors import CandleError
from bot3.market.candle_series import CandleSeries, funding_between, no_funding
from bot3.market.candles import CandleReport, checked_candles, checked_funding

_Stamps = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    """A gated series and the state of the files that it was made from."""

    stamps: _Stamps
    series: CandleSeries
    report: CandleReport


class FileCandles:
    """Reads candles from data directories (`CandleReader`).

    Files are read at the first question, gated and kept; a file that was replaced since is read again. Where several directories
    hold one pair, their candles are joined.

    Parameters
    ----------
    directories : Path
        Roots; files may lie in them or in their folder `futures`.
    timeframe : str
        `pairs` names the pairs that have it.
    now : datetime, optional
        Candles that close after it are dropped as unclosed. Without it each file's own time of writing is taken: what was written
        then cannot have closed later.

    Raises
    ------
    CandleError
        If a directory cannot be read, or none of them holds candles of the timeframe.
    """

    def __init__(self, *directories: Path, timeframe: str = "5m", now: datetime | None = None) -> None:
        self._timeframe = timeframe
        self._now = now
        self._files: dict[tuple[str, str, str], list[Path]] = defaultdict(list)
        for found in (file for directory in directories for file in _files_of(directory)):
            self._files[found.kind, found.pair, found.timeframe].append(found.path)
        self._loaded: dict[tuple[str, str], _Loaded] = {}
        self._funding: dict[str, tuple[_Stamps, pd.DataFrame]] = {}
        self._lock = RLock()
        if not self.pairs():
            raise CandleError(
                f"no {timeframe} candles in {', '.join(map(str, directories)) or 'no directory'}: files are named like "
                f"BTC_USDT_USDT-{timeframe}-futures.feather or BTC_USDT-{timeframe}.csv"
            )

    def pairs(self) -> tuple[str, ...]:
        """Return the pairs that have candles of the timeframe, sorted."""
        return tuple(sorted(pair for kind, pair, timeframe in self._files if kind == CANDLES and timeframe == self._timeframe))

    def span(self, pair: str, timeframe: str) -> tuple[datetime, datetime]:
        """Return the first open time and the last close time there is."""
        return self._load(pair, timeframe).series.span

    def candles(self, pair: str, timeframe: str, *, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the candle frame of candles that open at or after start and are closed by end."""
        return self._load(pair, timeframe).series.between(start=start, end=end)

    def rate_at(self, pair: str, timeframe: str, at: datetime) -> float:
        """Return the open of the candle in progress at a time, else the last close."""
        return self._load(pair, timeframe).series.rate_at(at)

    def funding(self, pair: str, *, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the funding frame with start <= time < end; empty where none is known."""
        return funding_between(self._all_funding(pair), start=start, end=end)

    def has_funding(self, pair: str) -> bool:
        """Say whether any funding of the pair is known."""
        return len(self._all_funding(pair)) > 0

    def reports(self) -> tuple[CandleReport, ...]:
        """Return what the gate found in the candles of the timeframe, by pair; reads every file."""
        return tuple(self._load(pair, self._timeframe).report for pair in self.pairs())

    def _load(self, pair: str, timeframe: str) -> _Loaded:
        paths = self._files.get((CANDLES, pair, timeframe))
        if not paths:
            raise CandleError(f"there are no {timeframe} candles of {pair}: there are {self._have(pair)}")
        stamps = _stamps(paths)
        with self._lock:
            loaded = self._loaded.get((pair, timeframe))
            if loaded is None or loaded.stamps != stamps:
                loaded = self._read(paths, pair=pair, timeframe=timeframe, stamps=stamps)
                self._loaded[pair, timeframe] = loaded
            return loaded

    def _read(self, paths: list[Path], *, pair: str, timeframe: str, stamps: _Stamps) -> _Loaded:
        now = self._now or datetime.fromtimestamp(max(written for written, _ in stamps) / 1e9, tz=UTC)
        gated = [_gated(path, pair=pair, timeframe=timeframe, now=now) for path in paths]
        candles, report = gated[0]
        if len(gated) > 1:
            candles, report = checked_candles(pd.concat([frame for frame, _ in gated]), pair=pair, timeframe=timeframe, now=now)
        return _Loaded(stamps=stamps, series=CandleSeries(candles, pair=pair, timeframe=timeframe), report=report)

    def _all_funding(self, pair: str) -> pd.DataFrame:
        paths = [path for key, found in self._files.items() if key[:2] == (FUNDING, pair) for path in found]
        stamps = _stamps(paths)
        with self._lock:
            known = self._funding.get(pair)
            if known is None or known[0] != stamps:
                known = (stamps, _read_funding(paths, pair=pair))
                self._funding[pair] = known
            return known[1]

    def _have(self, pair: str) -> str:
        timeframes = sorted(timeframe for kind, name, timeframe in self._files if kind == CANDLES and name == pair)
        return f"{', '.join(timeframes)} of it" if timeframes else ", ".join(self.pairs())


def _files_of(directory: Path) -> Iterable[CandleFile]:
    if not directory.is_dir():
        raise CandleError(f"{directory} is no directory: name a freqtrade data directory, such as user_data/data/binance")
    try:
        paths = sorted([*directory.iterdir(), *((directory / "futures").iterdir() if (directory / "futures").is_dir() else ())])
    except OSError as error:
        raise CandleError(f"{directory} cannot be read ({error.strerror}): give this user the right to read it") from error
    return [found for path in paths if (found := candle_file(path)) is not None]


def _stamps(paths: list[Path]) -> _Stamps:
    """Return each file's time of writing and inode: a file that is replaced twice in one tick of the clock has another inode."""
    try:
        return tuple((found.st_mtime_ns, found.st_ino) for found in (path.stat() for path in paths))
    except OSError as error:
        raise CandleError(f"{error.filename} cannot be read ({error.strerror}): fetch it again") from error


def _gated(path: Path, *, pair: str, timeframe: str, now: datetime) -> tuple[pd.DataFrame, CandleReport]:
    frame = read_frame(path)
    try:
        candles, report = checked_candles(frame, pair=pair, timeframe=timeframe, now=now)
    except CandleError as error:
        raise CandleError(f"{path}: {error}") from error
    if len(frame) and not len(candles):
        raise CandleError(f"{path}: all {len(frame)} candles close after {now.isoformat()}: is the file's time right?")
    return candles, report


def _read_funding(paths: list[Path], *, pair: str) -> pd.DataFrame:
    frames = []
    for path in paths:
        frame = read_frame(path)
        # Freqtrade keeps the rate where a candle has its open.
        named = frame if "funding_rate" in frame.columns else frame.rename(columns={"open": "funding_rate"})
        try:
            frames.append(checked_funding(named, pair=pair))
        except CandleError as error:
            raise CandleError(f"{path}: {error}") from error
    joined = pd.concat(frames) if frames else no_funding()
    return joined.drop_duplicates("time", keep="last").sort_values("time", ignore_index=True)
