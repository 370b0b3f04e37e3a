"""Read and write one candle file: freqtrade's layouts, and tables with named columns."""

from __future__ import annotations

import gzip
import json
from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow import feather, ipc

from bot3.adapters.files.candle_names import candle_path
from bot3.errors import CandleError
from bot3.file_replacement import replacing
from bot3.market.candles import CANDLE_COLUMNS, checked_candles

_EXCHANGE = b"bot3.exchange"
"""Metadata key of a file: the exchange that its rows were fetched from. Freqtrade ignores it."""
_JSON_COLUMNS = ("date", "open", "high", "low", "close", "volume")


def read_frame(path: Path) -> pd.DataFrame:
    """Return the rows of a file unchanged, with column names in lower case.

    If no column is named volume, the first one whose name begins with "volume" is.

    Raises
    ------
    CandleError
        If the file cannot be read, cannot be parsed in the format of its suffix, or has no column names.
    """
    try:
        frame = _read(path)
    except PermissionError as error:
        raise CandleError(f"{path} cannot be read (permission denied): give this user read permission") from error
    except FileNotFoundError as error:
        raise CandleError(f"{path} does not exist: fetch it again") from error
    except Exception as error:  # five parsers, each raising its own errors for the same failure
        raise CandleError(f"{path} cannot be read ({type(error).__name__}: {error}): fetch it again or remove it") from error
    return _named(frame, path=path)


def exchange_of(path: Path) -> str | None:
    """Return the exchange in a file's metadata; None if there is none, as in files that freqtrade wrote, or the file has no metadata."""
    try:
        with ipc.open_file(path) as file:
            said = (file.schema.metadata or {}).get(_EXCHANGE)
    except pa.ArrowInvalid:
        return None  # Feather's first version has no metadata
    return None if said is None else said.decode("utf-8", errors="replace")


def write_candles(directory: Path, *, pair: str, timeframe: str, candles: pd.DataFrame, exchange: str | None = None) -> Path:
    """Write a candle frame in freqtrade's Feather layout; the file is replaced as a whole, so that no reader reads a partial file.

    Parameters
    ----------
    exchange : str, optional
        Exchange that the candles were fetched from; it is stored in the file's metadata, so that a download from another one is refused.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    CandleError
        If the frame is invalid, or the directory cannot be written.
    """
    columns = candles.loc[:, list(CANDLE_COLUMNS)].rename(columns={"open_time": "date"})
    if len(candles):
        checked_candles(candles, pair=pair, timeframe=timeframe, now=_end(candles))
    return _write(candle_path(directory, pair=pair, timeframe=timeframe), columns, exchange=exchange)


def write_funding(directory: Path, *, pair: str, funding: pd.DataFrame, exchange: str | None = None) -> Path:
    """Write funding rates in freqtrade's layout: the rate in `open`, zeros in the other columns, and the timeframe 8h in the file's name.

    Raises CandleError if the directory cannot be written.
    """
    columns = pd.DataFrame({"date": funding["time"], "open": funding["funding_rate"]})
    for name in ("high", "low", "close", "volume"):
        columns[name] = 0.0
    return _write(candle_path(directory, pair=pair, timeframe="8h", is_funding=True), columns, exchange=exchange)


def _end(candles: pd.DataFrame) -> datetime:
    last = candles["open_time"].max() + pd.Timedelta(days=7)
    ended: datetime = last.to_pydatetime()
    return ended


def _write(path: Path, frame: pd.DataFrame, *, exchange: str | None) -> Path:
    table = pa.Table.from_pandas(frame.reset_index(drop=True), preserve_index=False)
    if exchange is not None:
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), _EXCHANGE: exchange.encode()})
    try:
        with replacing(path) as fresh:
            # Explicit, so that the file does not depend on Feather's default compression; freqtrade reads lz4.
            feather.write_feather(table, str(fresh), compression="lz4")
    except OSError as error:
        raise CandleError(
            f"{path} cannot be written ({error.strerror or error}): check the directory's permissions and the free space"
        ) from error
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
