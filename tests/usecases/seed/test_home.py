"""A seed that is killed goes on where it was, and comes to the same home."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bot3.errors import DataError
from bot3.settings import BOT_NAMES
from bot3.trading.recommendations import FeederTier
from bot3.trading.signals import FEEDER_IDS
from bot3.trading.trades import RunMode
from bot3.usecases.seed.home import seed_home
from bot3.wiring import Platform, is_seeded, open_platform
from tests.seeded import seeded_home, tiny_settings

pytestmark = pytest.mark.slow  # seeds homes

WALL_TIMES = ["computed_at"]


class PulledPlugError(Exception):
    """Stands for a kill: nothing after it runs."""


def quiet(*_: object) -> None:
    """Say nothing."""


def kill_at(step: str, *, after: int) -> Callable[[str, int, int], None]:
    def progress(now: str, done: int, _total: int) -> None:
        if now == step and done >= after:
            raise PulledPlugError

    return progress


def facts_of(platform: Platform) -> dict[str, Any]:
    """Return all that a seed makes, apart from the wall's time."""
    now, record = platform.history_span()[1], platform.record
    modes = (RunMode.BACKTEST,)
    parameters, recommendation = record.parameters.as_of(now), record.recommendations.as_of(now)
    return {
        "models": record.models.frame().drop(columns=WALL_TIMES).sort_values(["feeder_id", "trained_until"], ignore_index=True),
        "shadow trades": record.shadow_trades.frame(as_of=now, run_modes=modes).drop(columns=["revision"], errors="ignore"),
        "histories": {bot: platform.history_store(bot).closed_trades(closed_since=None) for bot in BOT_NAMES},
        "parameters": (parameters.version, {key: replace(row, version="") for key, row in parameters.rows.items()}),
        "tiers": dict(recommendation.tiers),
        "scores": [replace(score, version="") for score in record.feeder_scores.as_of(now)],
        "regimes": record.regimes.frame(start=now - timedelta(days=60), end=now),
    }


def require_same(mine: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert set(mine) == set(theirs)
    for name, value in mine.items():
        if isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(value, theirs[name])
        else:
            assert value == theirs[name], name


@dataclass(frozen=True, slots=True)
class Killed:
    """A home whose seed was killed at a step of each kind, one attempt after the other, until an attempt came to its end."""

    facts: dict[str, Any]
    seeded_after: dict[str, bool]
    models_after: dict[str, pd.DataFrame]


KILLS = {"feeder models": 4, "signals": 13, "shadow trades": 1, "histories": 2, "learning": 0}
"""How much of each step an attempt has done when it is killed there."""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Killed:
    settings = tiny_settings(tmp_path_factory.mktemp("killed") / "home")
    seeded_after, models_after = {}, {}
    for step, after in KILLS.items():
        with open_platform(settings) as platform:
            with pytest.raises(PulledPlugError):
                seed_home(platform.seed_parts(), progress=kill_at(step, after=after))
            models_after[step] = platform.record.models.frame()
        seeded_after[step] = is_seeded(settings)
    with open_platform(settings) as platform:
        seed_home(platform.seed_parts(), progress=quiet)
        return Killed(facts_of(platform), seeded_after, models_after)


def test_seed_home_given_a_kill_then_the_home_is_not_seeded(killed: Killed) -> None:
    assert killed.seeded_after == dict.fromkeys(KILLS, False)


def test_seed_home_given_a_kill_at_each_step_then_the_next_attempts_come_to_the_same_home(killed: Killed) -> None:
    with open_platform(tiny_settings(seeded_home()), read_only=True) as whole:
        require_same(killed.facts, facts_of(whole))


def test_seed_home_given_a_kill_then_trains_no_feeder_twice(killed: Killed) -> None:
    models, *later = killed.models_after.values()

    assert len(models) == KILLS["feeder models"]
    for frame in later:
        # Times of computation too: a feeder that is trained again would have another.
        pd.testing.assert_frame_equal(frame, later[0])
    pd.testing.assert_frame_equal(models, later[0][later[0]["digest"].isin(models["digest"])].reset_index(drop=True))


def test_seed_home_given_too_few_candles_then_says_what_to_bring(tmp_path: Path) -> None:
    with open_platform(tiny_settings(tmp_path / "home")) as platform:
        parts = platform.seed_parts()

        with pytest.raises(DataError, match="add more candles, or lower BOT3_FEEDER_FIRST_WEEKS"):
            seed_home(replace(parts, end=parts.start + timedelta(days=20)), progress=quiet)


def test_seed_home_makes_evidence_for_every_feeder_and_history_for_every_bot() -> None:
    with open_platform(tiny_settings(seeded_home()), read_only=True) as platform:
        facts, counts = facts_of(platform), platform.record.trades.counts()

    assert set(facts["models"]["feeder_id"]) == set(FEEDER_IDS)
    assert set(facts["tiers"]) == set(FEEDER_IDS)
    assert set(facts["tiers"].values()) <= set(FeederTier)
    assert set(counts["run_mode"]) == {RunMode.BACKTEST}
    assert {bot: len(trades) for bot, trades in facts["histories"].items()} == dict(zip(counts["bot"], counts["trades"], strict=True))
    assert min(counts["trades"]) > 0


def test_seed_home_trades_control_bots_in_their_direction_only() -> None:
    with open_platform(tiny_settings(seeded_home()), read_only=True) as platform:
        histories = facts_of(platform)["histories"]

    assert {trade.is_short for trade in histories["BOT1"]} == {False}
    assert {trade.is_short for trade in histories["BOT2"]} == {True}


def test_seed_home_writes_both_files_for_other_readers() -> None:
    assert {path.name for path in seeded_home().glob("*.json")} >= {"meta_learner_recommendations.json", "adaptive_params.json"}
