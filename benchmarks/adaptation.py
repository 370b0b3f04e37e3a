"""From a close committed in a bot's store to the daemon having the parameters that learned from it.

    python -m benchmarks.adaptation [--home DIR] [--sparse 50] [--burst 50]

Runs the execution daemon and Dagster's own daemon with its code server on a seeded home (made anew without `--home`), commits closed trades
to BOT1's store, and waits each time until the heartbeat of the daemon names parameters of a revision that holds the trade. Sparse closes
are 5.5 to 10.5 s apart; bursts have a mean gap of 2 s. Latencies include everything: sync, replay, learning, publishing, reading.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import numpy as np

from benchmarks.output import print_result, quantiles, tell
from bot3.cli.services import Service, free_port, prepare_dagster_home, services
from bot3.cli.supervisor import Supervisor
from bot3.settings import Settings, load_settings
from bot3.trading.trades import RunMode, Trade
from bot3.wiring import Platform, open_platform

_BOT = "BOT1"
_GIVE_UP_S = 30.0
_NEEDED = {"execution", "code", "dagster-daemon"}


class _Watch:
    """Notes when the daemon first named each revision of its parameters."""

    def __init__(self, platform: Platform) -> None:
        self._control = platform.control
        self._seen: list[tuple[float, int]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.01):
            revision = parameters_revision(self._control.heartbeats())
            if revision is not None and (not self._seen or revision > self._seen[-1][1]):
                self._seen.append((time.monotonic(), revision))

    def first_at(self, revision: int) -> float | None:
        return next((at for at, seen in self._seen if seen >= revision), None)


def parameters_revision(heartbeats: object) -> int | None:
    """Return the revision of the parameters that the execution daemon has in force."""
    for beat in heartbeats:  # type: ignore[attr-defined]
        if beat.process == "execution":
            value = beat.detail.get("parameters_revision")
            return int(value) if value is not None else None
    return None


def main() -> None:
    """Run the benchmark and print its JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=None, help="a seeded home; none: one is seeded in a temporary directory")
    parser.add_argument("--sparse", type=int, default=50)
    parser.add_argument("--burst", type=int, default=50)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = arguments.home or Path(temporary) / "home"
        os.environ["BOT3_HOME"] = str(home)
        subprocess.run([sys.executable, "-m", "bot3.cli.main", "init"], check=True)
        settings = load_settings()
        with open_platform(settings) as platform:
            measure(settings, platform, sparse=arguments.sparse, burst=arguments.burst)


def measure(settings: Settings, platform: Platform, *, sparse: int, burst: int) -> None:
    """Start the services, measure, stop them, print."""
    supervisor = _supervisor(settings, platform)
    platform.start_clock()
    try:
        supervisor.start()
        supervisor.wait_healthy(timeout_s=120.0, tell=lambda name, seconds: tell(f"{name} healthy after {seconds:.1f} s"))
        _wait_for_parameters(platform)
        random = np.random.default_rng(11)
        with _Watch(platform) as watch:
            sparse_s = _series(platform, watch, gaps_s=random.uniform(5.5, 10.5, sparse), name="sparse")
            burst_s = _series(platform, watch, gaps_s=random.exponential(2.0, burst), name="burst")
    finally:
        supervisor.stop()
        platform.pause_clock()
    calm, busy = quantiles(sparse_s), quantiles(burst_s)
    print_result(
        {
            "benchmark": "adaptation",
            "p50_s": calm["p50_s"],
            "p95_s": calm["p95_s"],
            "max_s": calm["max_s"],
            "burst_p50_s": busy["p50_s"],
            "burst_p95_s": busy["p95_s"],
            "burst_max_s": busy["max_s"],
            "closes": sparse + burst,
            "trades_in_record": int(platform.record.counts()["trades"].sum()),
        }
    )


def _supervisor(settings: Settings, platform: Platform) -> Supervisor:
    code_port = free_port()
    began = datetime.now(UTC)

    def execution_is_fresh() -> bool:
        return any(beat.process == "execution" and beat.wall_at >= began for beat in platform.control.heartbeats())

    dagster_home = prepare_dagster_home(settings, code_port=code_port)
    todo = services(settings, dagster_home=dagster_home, code_port=code_port, execution_is_fresh=execution_is_fresh)
    needed = [service for service in todo if service.name in _NEEDED]
    quiet = [_without_web(service) for service in needed]
    return Supervisor(quiet, run_directory=settings.home / "run", log_directory=settings.home / "logs")


def _without_web(service: Service) -> Service:
    # The daemon's health is asked through the web server, which this benchmark does not start.
    return replace(service, is_healthy=lambda: True) if service.name == "dagster-daemon" else service


def _wait_for_parameters(platform: Platform) -> None:
    deadline = time.monotonic() + 60.0
    while parameters_revision(platform.control.heartbeats()) is None:
        if time.monotonic() > deadline:
            raise SystemExit("the daemon named no parameters within 60 s; see logs/execution.log")
        time.sleep(0.1)


def _series(platform: Platform, watch: _Watch, *, gaps_s: np.ndarray, name: str) -> list[float]:
    committed: list[tuple[int, datetime, float]] = []
    for number, gap in enumerate(gaps_s):
        trade = _closed_trade(platform, number)
        platform.bot_store(_BOT).import_trades([trade])
        committed.append((trade.trade_id, trade.open_date, time.monotonic()))
        time.sleep(float(gap))
    time.sleep(3.0)
    return [_latency(platform, watch, trade_id=i, at=at, name=name) for i, _, at in committed]


def _latency(platform: Platform, watch: _Watch, *, trade_id: int, at: float, name: str) -> float:
    deadline = time.monotonic() + _GIVE_UP_S
    while time.monotonic() < deadline:
        frame = platform.record.trades(as_of=None, run_modes=[RunMode.PAPER], bots=[_BOT])
        revisions = frame.loc[frame["trade_id"] == trade_id, "revision"]
        first = watch.first_at(int(revisions.iloc[0])) if len(revisions) else None
        if first is not None:
            tell(f"{name} {trade_id}: {first - at:.3f} s")
            return first - at
        time.sleep(0.05)
    raise SystemExit(f"trade {trade_id} did not reach the daemon within {_GIVE_UP_S:.0f} s")


def _closed_trade(platform: Platform, number: int) -> Trade:
    pairs = platform.candles.pairs()
    pair, now = pairs[number % len(pairs)], platform.clock.now()
    opened = now - timedelta(hours=25)
    # The last close before, however old: a trade may be opened in an outage of the candles.
    before = platform.candles.candles(pair, platform.settings.timeframe, start=opened - timedelta(days=1), end=opened)
    open_rate = float(before["close"].iloc[-1])
    leverage, profit = 3.0, (0.02, -0.03)[number % 2]
    return Trade(
        bot=_BOT,
        run_mode=RunMode.PAPER,
        account=f"paper-{_BOT}",
        trade_id=platform.bot_store(_BOT).next_trade_id(),
        pair=pair,
        is_short=False,
        leverage=leverage,
        open_date=opened,
        open_rate=open_rate,
        amount=300.0 / open_rate,
        stake_amount=100.0,
        fee_open=0.0005,
        fee_close=0.0005,
        enter_tag="F01",
        is_open=False,
        close_date=now,
        close_rate=open_rate * (1.0 + profit / leverage),
        close_profit=profit,
        close_profit_abs=100.0 * profit,
        exit_reason="roi" if profit > 0.0 else "stop_loss",
    )


if __name__ == "__main__":
    main()
