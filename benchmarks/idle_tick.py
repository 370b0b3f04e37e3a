"""Time the work of the learning sensor while nothing is committed, on a home with the platform's own bots and one bot of a fleet."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bot3.settings import Settings, load_settings
from bot3.trading.trades import RunMode
from bot3.wiring import Platform, open_platform
from bot3_assets.listening import ChangeDetector

_TIMES = 50


def idle_ms(url: str, folder: Path, *, bot: str, run_mode: RunMode) -> dict[str, float]:
    """Sync a bot into a new home, then time the steps that repeat while nothing is new; return medians in wall milliseconds.

    `idle_look_ms` is one check for commits, of which there are up to fifty a second: it reads every source's change token. `idle_due_ms` is
    the query for the time of the next due replay, once a second. `idle_tick_ms` is what the sensor itself reads every five seconds: the
    record's revision, the change tokens and the time of the next due replay; Dagster's own work is not included. `idle_count_ms` is the
    count of all closes in the sources and in the record, which follows a commit.

    Raises
    ------
    SystemExit
        If a source changed, could not be read, or had closes that were not synced.
    """
    with open_platform(_settings(url, folder, bot=bot, run_mode=run_mode)) as platform:
        platform.steps.sync(bot)
        watch = ChangeDetector(platform)
        watch.changed()
        looks, dues = _times_ms(lambda: _look(watch)), _times_ms(platform.record.replays.next_due_at)
        ticks, counts = _times_ms(lambda: _tick(platform, watch)), _times_ms(lambda: _require_synced(platform))
        return {"idle_tick_ms": ticks, "idle_look_ms": looks, "idle_due_ms": dues, "idle_count_ms": counts}


def _tick(platform: Platform, watch: ChangeDetector) -> None:
    platform.record.revision()
    _look(watch)
    platform.record.replays.next_due_at()


def _require_synced(platform: Platform) -> None:
    if waiting := platform.steps.unsynced_closes():
        raise SystemExit(f"{waiting} closes are not synced, so this was not an idle tick")


def _look(watch: ChangeDetector) -> None:
    if changed := watch.changed():
        raise SystemExit(f"{[source.reader.bot for source in changed]} changed while nothing was committed")
    if unread := watch.unread():
        raise SystemExit(f"{sorted(unread)} cannot be read")


def _settings(url: str, folder: Path, *, bot: str, run_mode: RunMode) -> Settings:
    folder.mkdir()
    fleet = folder / "fleet.toml"
    fleet.write_text(f'[[bots]]\nname = "{bot}"\nurl = "{url}"\nrun_mode = "{run_mode}"\n', encoding="utf-8")
    return load_settings({}, env_file=folder / "no.env", home=folder / "home", fleet_file=fleet)


def _times_ms(work: Callable[[], object]) -> float:
    took = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return round(1_000.0 * float(np.median(took)), 3)
