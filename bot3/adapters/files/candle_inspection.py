"""Validate every candle file of a directory, of any timeframe and kind; an invalid file is reported, and the others are still validated."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bot3.adapters.files.candle_format import read_frame
from bot3.adapters.files.candle_names import CANDLES, FUNDING, CandleFile, IgnoredFile
from bot3.adapters.files.candles import candles_of, files_of, funding_of
from bot3.errors import CandleError
from bot3.market.candles import CandleReport, checked_candles
from bot3.ports.candles import CandleFileFinding, IgnoredCandleFile


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    rows: int
    report: CandleReport | None


def inspect_files(directory: Path, *, now: datetime) -> tuple[tuple[CandleFileFinding, ...], tuple[IgnoredCandleFile, ...]]:
    """Return the validation result of each file that is read, and the reason why each other file is ignored.

    Raises
    ------
    CandleError
        If the directory cannot be read.
    """
    files = files_of(directory)
    findings = tuple(_finding(file, now=now) for file in files if isinstance(file, CandleFile))
    ignored = tuple(IgnoredCandleFile(path=str(file.path), reason=file.reason) for file in files if isinstance(file, IgnoredFile))
    return findings, ignored


def _finding(file: CandleFile, *, now: datetime) -> CandleFileFinding:
    try:
        read, problem = _read(file, now=now), None
    except CandleError as error:
        read, problem = _Read(rows=0, report=None), str(error)
    return CandleFileFinding(
        path=str(file.path),
        pair=file.pair,
        timeframe=file.timeframe,
        kind=file.kind,
        rows=read.rows,
        report=read.report,
        problem=problem,
    )


def _read(file: CandleFile, *, now: datetime) -> _Read:
    if file.kind == CANDLES:
        report = candles_of(file.path, pair=file.pair, timeframe=file.timeframe, now=now)[1]
        return _Read(rows=report.rows_in, report=report)
    if file.kind == FUNDING:
        return _Read(rows=len(funding_of(file.path, pair=file.pair)), report=None)
    frame = read_frame(file.path)
    if not len(frame):
        raise CandleError(f"{file.path} contains no candle: fetch it again or remove it")
    try:
        # Mark and index candles are prices without trades, so they have no volume.
        checked, report = checked_candles(frame.assign(volume=0.0), pair=file.pair, timeframe=file.timeframe, now=now)
    except CandleError as error:
        raise CandleError(f"{file.path}: {error}") from error
    return _Read(rows=len(checked), report=report)
