"""Store signals of feeders' models in Parquet files, one per feeder and week; each model was trained on earlier data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pandas as pd

from bot3.errors import SettingsError, StoreError, file_error_kind
from bot3.file_replacement import replacing
from bot3.market.weeks import week_of, week_start
from bot3.trading.horizons import Horizon
from bot3.trading.signals import FEEDER_IDS

SIGNAL_DTYPES = {
    "feeder_id": "str",
    "pair": "str",
    "is_short": "bool",
    "confidence": "float64",
    "candle_open_time": "datetime64[us, UTC]",
    "known_at": "datetime64[us, UTC]",
    "model_digest": "str",
    "horizon": "str",
}


class FileSignals:
    """Stores signals in files `<directory>/<feeder>/<week>.parquet` (`SignalStore`).

    Parameters
    ----------
    directory : Path
        Created on the first write.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def write_week(self, feeder_id: str, week: str, signals: pd.DataFrame) -> None:
        """Replace the partition of a feeder and week.

        Raises
        ------
        StoreError
            If the feeder is unknown, the week is not the date of a Monday, a row belongs to another feeder or week (by known_at), a column
            is missing, or the file cannot be written.
        """
        path = self._path(feeder_id, week)
        _write(path, _checked(signals, feeder_id=feeder_id, week=week))

    def weeks(self, feeder_id: str) -> tuple[str, ...]:
        """Return the stored weeks of a feeder, sorted; none if nothing is stored. Raises StoreError for an unknown feeder."""
        _require_feeder(feeder_id)
        return tuple(sorted(path.stem for path in (self._directory / feeder_id).glob("*.parquet") if not path.name.startswith(".")))

    def signals(self, *, feeder_ids: Sequence[str], start: datetime, end: datetime) -> pd.DataFrame:
        """Return the signal frame with start <= known_at < end, sorted by known_at, pair and feeder.

        Raises StoreError for an unknown feeder, or if a file cannot be read.
        """
        paths = [
            self._path(feeder_id, week)
            for feeder_id in feeder_ids
            for week in self.weeks(feeder_id)
            if week_of(start) <= week and week_start(week) < end
        ]
        frames = [frame for frame in map(_read, paths) if len(frame)]
        joined = pd.concat(frames, ignore_index=True) if frames else no_signals()
        joined = joined[(joined["known_at"] >= start) & (joined["known_at"] < end)]
        return joined.sort_values(["known_at", "pair", "feeder_id"], kind="stable", ignore_index=True)

    def _path(self, feeder_id: str, week: str) -> Path:
        _require_feeder(feeder_id)
        try:
            week_start(week)
        except SettingsError as error:
            raise StoreError(f"signals of {feeder_id}: {error}") from error
        return self._directory / feeder_id / f"{week}.parquet"


def no_signals() -> pd.DataFrame:
    """Return an empty signal frame."""
    return pd.DataFrame({name: pd.Series([], dtype=dtype) for name, dtype in SIGNAL_DTYPES.items()})


def _require_feeder(feeder_id: str) -> None:
    if feeder_id not in FEEDER_IDS:
        raise StoreError(f"feeder {feeder_id!r} is unknown: choose one of {', '.join(FEEDER_IDS)}")


def _checked(signals: pd.DataFrame, *, feeder_id: str, week: str) -> pd.DataFrame:
    missing = [name for name in SIGNAL_DTYPES if name not in signals.columns]
    if missing:
        raise StoreError(f"signals of {feeder_id} {week} lack {', '.join(missing)}")
    frame = signals.loc[:, list(SIGNAL_DTYPES)].astype(SIGNAL_DTYPES)
    start = pd.Timestamp(week_start(week))
    foreign = (frame["feeder_id"] != feeder_id) | (frame["known_at"] < start) | (frame["known_at"] >= start + pd.Timedelta(days=7))
    if bool(foreign.any()):
        raise StoreError(f"{int(foreign.sum())} signals do not belong to {feeder_id} {week} (by known_at): write them to their own week")
    return frame.sort_values(["known_at", "pair"], kind="stable", ignore_index=True)


def _write(path: Path, frame: pd.DataFrame) -> None:
    try:
        with replacing(path) as fresh:
            frame.to_parquet(fresh, index=False)
    except OSError as error:
        kind = file_error_kind(error)
        raise kind(f"{path} cannot be written ({error.strerror or error}): free space or fix the directory's permissions") from error


def _read(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
        if "horizon" not in frame.columns:
            # Written by an earlier release, whose trades were open for 24 h at most.
            frame["horizon"] = Horizon.DAY.value
        return frame.loc[:, list(SIGNAL_DTYPES)].astype(SIGNAL_DTYPES)
    except Exception as error:  # the parser raises many errors for the same failure
        raise StoreError(f"{path} cannot be read ({type(error).__name__}: {error}): generate this week's signals again") from error
