"""A home on PostgreSQL for benchmarks/scale.py, seeded once and copied for every way of working, and digests to compare the results."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd

from bot3.market.weeks import walk_forward_weeks, week_start
from bot3.settings import load_settings
from bot3.trading.horizons import Horizon
from bot3.trading.parameters import ParameterSet
from bot3.trading.signals import FEEDER_IDS
from bot3.trading.trades import RunMode, Trade
from bot3.wiring import Platform, open_platform
from tests.deploy.composed import Place
from tests.deploy.production import Production

# Columns left out of the comparison, because they depend on the time and order of the work.
_CLOCKS = {"computed_at", "revision"}
NEW_RULE = {"BOT3_GIVEBACK_SHARE": "0.4"}
"""A changed rule, as a release may contain it: every trade has to be replayed again."""
_NO_COPY = {"BOT3_INFLUX_URL": "", "BOT3_PARAMETERS_FROM": "record"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Amount of work.

    Parameters
    ----------
    weeks, feeders : int
        Number of weeks and of feeders whose models and signals are computed.
    trades : int
        Closed trades of each bot that are not in the record yet.
    seed : mapping
        Settings of the seed.
    """

    weeks: int
    feeders: int
    trades: int
    seed: Mapping[str, str]

    @property
    def partitions(self) -> int:
        """Return the number of partitions of each backfilled asset: one for each feeder and week."""
        return self.weeks * self.feeders


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A seeded home without open connections, and the work to do in its copies."""

    production: Production
    folder: Path
    work: Work

    def place(self, name: str, *, ports: Mapping[str, int], extra: Mapping[str, str], variables: Mapping[str, str]) -> Place:
        """Copy the home, and its databases of the platform and of Dagster; return a place that runs docker-compose.yml on the copies."""
        folder = self.folder.with_name(name)
        (folder / "tmp").mkdir(parents=True)
        shutil.copytree(self.folder / "data", folder / "data")
        server = self.production.server
        server.copy_database("bot3", f"bot3_{name}", owner="bot3")
        server.copy_database("dagster", f"dagster_{name}", owner="dagster")
        own = {"BOT3_PLATFORM_DB_NAME": f"bot3_{name}", "DAGSTER_PG_DB": f"dagster_{name}", **NEW_RULE}
        given = {**_environment(self.production, self.work.seed), **own, **extra}
        ports = {**_ports(self.production), **ports}
        return Place(folder=folder, secrets=self.production.secrets, ports=ports, extra=given, variables=variables)


def seed_base(production: Production, folder: Path, work: Work) -> Base:
    """Seed a home as compose's services do, and add closed trades to its bots' databases that are not learned from yet."""
    for name in ("data", "tmp"):
        (folder / name).mkdir(parents=True)
    place = Place(folder=folder, secrets=production.secrets, ports=_ports(production), extra=_environment(production, work.seed))
    for name in ("seed", "lineage"):
        ended = place.run(name, timeout_s=900.0)
        if ended.returncode:
            raise SystemExit(f"{name} failed: {ended.stdout[-2_000:]} {ended.stderr[-2_000:]}")
    with platform_of(place, service="seed") as platform:
        for bot in platform.bot_names:
            platform.bot_store(bot).import_trades(_closes(platform, bot, count=work.trades))
    return Base(production=production, folder=folder, work=work)


def weeks_to_make(platform: Platform, count: int) -> list[str]:
    """Return up to a number of the newest weeks of a home's history that can have their own models, oldest first."""
    until = platform.seeded_until
    first = platform.history_span()[0] + timedelta(days=21)
    return list(walk_forward_weeks(first, until - timedelta(days=1), every=1))[-count:]


def feeder_weeks(platform: Platform, work: Work) -> list[tuple[str, str]]:
    """Return the pairs of feeder and week to compute."""
    return [(feeder, week) for week in weeks_to_make(platform, work.weeks) for feeder in FEEDER_IDS[: work.feeders]]


def make_alone(place: Place, work: Work) -> None:
    """Do all work in this process, without Dagster."""
    with platform_of(place) as platform:
        todo = feeder_weeks(platform, work)
        for feeder, week in todo:
            platform.feeders.train_feeder(feeder, until=week_start(week))
        platform.feeders.predict_weeks(todo)
        for bot in platform.bot_names:
            platform.steps.sync(bot)
        platform.steps.replay()
        platform.steps.learn_parameters()


def made(place: Place, work: Work) -> dict[str, str]:
    """Return the sha256 of every result, by name. Also reads every model file, so that a damaged one raises an error."""
    with platform_of(place) as platform:
        record, now, modes = platform.record, platform.clock.now(), list(RunMode)
        parameters = record.parameters.as_of(now)
        models = record.models.frame()
        for digest in models["digest"].unique():
            platform.models.read(str(digest))
        found = {
            "models": _digest(sorted(path.name for path in (place.folder / "data/home/models").iterdir())),
            "registry": _digest_of_frame(models, by=["feeder_id", "trained_until"]),
            "trades": _digest_of_frame(record.trades.frame(as_of=None, run_modes=modes), by=["bot", "run_mode", "trade_id", "open_date"]),
            "replays": _digest_of_frame(
                record.replays.frame(as_of=None, run_modes=modes), by=["bot", "run_mode", "trade_id", "open_date", "version"]
            ),
            "parameters": parameters_digest(parameters),
        }
        signals = {
            f"signals {feeder} {week}": hashlib.sha256(
                (place.folder / f"data/home/signals/{feeder}/{week}.parquet").read_bytes()
            ).hexdigest()
            for feeder, week in feeder_weeks(platform, work)
        }
    return found | signals


def parameters_digest(parameters: ParameterSet) -> str:
    """Return the sha256 of parameters: version, regime factors and rows."""
    factors = {str(regime): list(pair) for regime, pair in parameters.regime_factors.items()}
    return _digest([parameters.version, factors, *(asdict(row) for row in parameters.rows.values())])


@contextmanager
def platform_of(place: Place, *, service: str = "worker") -> Iterator[Platform]:
    """Open the platform of a place with the settings of one of compose's services, and close it afterwards."""
    given = {name: value for name, value in place.environment(service).items() if name.startswith("BOT3_")}
    with open_platform(load_settings(given, env_file=place.folder / "no.env")) as platform:
        yield platform


def _ports(production: Production) -> dict[str, int]:
    # The copy in InfluxDB is left out: no server listens on that port, and no client connects.
    return {"postgres:5432": production.port, "influxdb:8086": 8_086}


def _environment(production: Production, seed: Mapping[str, str]) -> dict[str, str]:
    databases = {f"BOT3_{name}_DB_PORT": str(production.port) for name in ("BOT1", "BOT2", "BOT3", "PLATFORM")}
    return {**databases, **_NO_COPY, **seed}


def _closes(platform: Platform, bot: str, *, count: int) -> list[Trade]:
    """Return closed trades of the last weeks whose horizon has passed, spread over the pairs; BOT2's are shorts."""
    end, pairs = platform.seeded_until - timedelta(days=2), platform.candles.pairs()
    first = platform.bot_store(bot).next_trade_id()
    gap, shift = timedelta(days=18) / max(count, 1), timedelta(minutes=7 * platform.bot_names.index(bot))
    return [_close(platform, bot, first + n, pair=pairs[n % len(pairs)], opened=end - n * gap - shift) for n in range(count)]


def _close(platform: Platform, bot: str, trade_id: int, *, pair: str, opened: datetime) -> Trade:
    rate, leverage, profit = platform.candles.rate_at(pair, platform.settings.timeframe, opened), 3.0, (0.02, -0.03)[trade_id % 2]
    is_short = bot == "BOT2"
    side = -1.0 if is_short else 1.0
    return Trade(
        bot=bot,
        run_mode=RunMode.PAPER,
        account=f"paper-{bot}",
        trade_id=trade_id,
        pair=pair,
        is_short=is_short,
        leverage=leverage,
        open_date=opened,
        open_rate=rate,
        amount=100.0 * leverage / rate,
        stake_amount=100.0,
        fee_open=0.0005,
        fee_close=0.0005,
        enter_tag=FEEDER_IDS[trade_id % len(FEEDER_IDS)],
        is_open=False,
        close_date=opened + timedelta(hours=2),
        close_rate=rate * (1.0 + side * profit / leverage),
        close_profit=profit,
        close_profit_abs=100.0 * profit,
        exit_reason="roi" if profit > 0.0 else "stop_loss",
        horizon=Horizon.DAY,
    )


def _digest_of_frame(frame: pd.DataFrame, *, by: Sequence[str]) -> str:
    kept = frame.drop(columns=[name for name in frame.columns if name in _CLOCKS]).sort_values(list(by), kind="stable")
    # 17 digits represent every bit of a float.
    return hashlib.sha256(kept.to_csv(index=False, float_format="%.17g").encode()).hexdigest()


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
