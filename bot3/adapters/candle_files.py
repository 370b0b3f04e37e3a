"""One candle file: how it is named, read and written (freqtrade's layouts, and tables with named columns)."""

from __future__ import annotations

import gzip
import json
import os
import re
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from bot3.errors import CandleError
from bot3.market.candles import CANDLE_COLUMNS, checked_candles

CANDLES, FUNDING, OTHER = "candles", "funding_rate", "other"
_SUFFIXES = (".feather", ".parquet", ".json", ".json.gz", ".csv", ".csv.gz")
_NAME = re.compile(r"(?P<pair>[A-Za-z0-9]+(?:_[A-Za-z0-9]+){1,2})-(?P<timeframe>[1-9]\d*[mhd])(?:-(?P<kind>\w+))?")
_JSON_COLUMNS = ("date", "open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleFile:
    """A file and what its name says is in it; `kind` is candles, funding_rate or other (mark, index)."""

    path: Path
    pair: str
    timeframe: str
    kind: str


def candle_file(path: Path) -> CandleFile | None:
    """Return what a file's name says, "BTC_USDT_USDT-5m-futures.feather"; None if it is not named so."""
    suffix = next((suffix for suffix in _SUFFIXES if path.name.endswith(suffix)), None)
    match = _NAME.fullmatch(path.name.removesuffix(suffix)) if suffix else None
    if match is None:
        return None
    parts = match["pair"].split("_")
    pair = f"{parts[0]}/{parts[1]}" + (f":{parts[2]}" if len(parts) == 3 else "")
    kind = {None: CANDLES, "futures": CANDLES, "spot": CANDLES, "funding_rate": FUNDING}.get(match["kind"], OTHER)
    return CandleFile(path=path, pair=pair, timeframe=match["timeframe"], kind=kind)


def candle_path(directory: Path, *, pair: str, timeframe: str, is_funding: bool = False) -> Path:
    """Return where freqtrade keeps a pair's candles (or funding) below a data directory."""
    name = re.sub(r"[/:]", "_", pair)
    if ":" not in pair:
        return directory / f"{name}-{timeframe}.feather"
    return directory / "futures" / f"{name}-{timeframe}-{FUNDING if is_funding else 'futures'}.feather"


def read_frame(path: Path) -> pd.DataFrame:
    """Return the rows of a file as they are, column names in lower case.

    Raises
    ------
    CandleError
        If the file cannot be read as what its suffix says; the text names path and remedy.
    """
    try:
        frame = _read(path)
    except PermissionError as error:
        raise CandleError(f"{path} may not be read: give this user the right to read it") from error
    except FileNotFoundError as error:
        raise CandleError(f"{path} is gone: fetch it again") from error
    except Exception as error:  # five parsers, each with its own errors for the same fact
        raise CandleError(f"{path} cannot be read ({type(error).__name__}: {error}): fetch it again or remove it") from error
    return _named(frame, path=path)


def write_candles(directory: Path, *, pair: str, timeframe: str, candles: pd.DataFrame) -> Path:
    """Write a candle frame in freqtrade's Feather layout; the file is the old or the new one, never a part.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    CandleError
        If the frame breaks the law, or the directory cannot be written.
    """
    columns = candles.loc[:, list(CANDLE_COLUMNS)].rename(columns={"open_time": "date"})
    if len(candles):
        checked_candles(candles, pair=pair, timeframe=timeframe, now=_end(candles))
    return _write(candle_path(directory, pair=pair, timeframe=timeframe), columns)


def write_funding(directory: Path, *, pair: str, funding: pd.DataFrame) -> Path:
    """Write a funding frame as freqtrade does: the rate in `open`, the other columns zero; under the name of 8h."""
    columns = pd.DataFrame({"date": funding["time"], "open": funding["funding_rate"]})
    for name in ("high", "low", "close", "volume"):
        columns[name] = 0.0
    return _write(candle_path(directory, pair=pair, timeframe="8h", is_funding=True), columns)


def _end(candles: pd.DataFrame) -> datetime:
    last = candles["open_time"].max() + pd.Timedelta(days=7)
    ended: datetime = last.to_pydatetime()
    return ended


def _write(path: Path, frame: pd.DataFrame) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        try:
            # Feather's default names a compression of its own; freqtrade reads lz4.
            frame.reset_index(drop=True).to_feather(temporary, compression="lz4")
            Path(temporary).replace(path)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        raise CandleError(f"{path} cannot be written ({error.strerror or error}): check the directory's rights and free space") from error
    return path


def _read(path: Path) -> pd.DataFrame:
    name = path.name
    if name.endswith(".feather"):
        return pd.read_feather(path)
    if name.endswith(".parquet"):
        return pd.read_parquet(path)
    if name.endswith((".csv", ".csv.gz")):
        return pd.read_csv(path)
    text = gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()
    rows = json.loads(text)
    return pd.DataFrame(rows, columns=list(_JSON_COLUMNS)) if rows and isinstance(rows[0], list) else pd.DataFrame(rows)


def _named(frame: pd.DataFrame, *, path: Path) -> pd.DataFrame:
    names = [str(name).strip().lower() for name in frame.columns]
    if names and _is_number(names[0]):
        raise CandleError(
            f"{path} has no header, so the order of its columns is unknown: add a first line such as date,open,high,low,close,volume"
        )
    if "volume" not in names:
        # Vendors write base volume first: "Volume BTC" before "Volume USDT".
        volumes = [name for name in names if name.startswith("volume")]
        names = ["volume" if volumes and name == volumes[0] else name for name in names]
    return frame.set_axis(pd.Index(names), axis="columns")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
