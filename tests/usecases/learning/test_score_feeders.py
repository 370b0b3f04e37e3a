from __future__ import annotations

from datetime import timedelta

from bot3.learning.feeders.scores import ScoreSettings
from bot3.trading.recommendations import FeederTier
from bot3.trading.trades import RunMode
from bot3.usecases.learning.score_feeders import score_feeders
from tests.learning.feeders.test_scores import NO_SKILL, NOW, SKILL, overall, shadow
from tests.usecases.fakes import FakeRecord


def scored(record: FakeRecord, edges: dict[str, float], *, hours: float) -> FeederTier:
    record.shadow_trades.stored = shadow(edges)
    now = NOW + timedelta(hours=hours)
    scores = score_feeders(record, run_modes=[RunMode.PAPER], now=now, settings=ScoreSettings())  # type: ignore[arg-type]
    return overall(scores)["F04"].tier


def test_score_feeders_given_scorings_every_few_hours_then_raises_once_a_market_day_and_lowers_at_once() -> None:
    record = FakeRecord()

    tiers = [
        scored(record, edges, hours=hours)
        for edges, hours in ((SKILL, 1), (NO_SKILL, 2), (SKILL, 3), (SKILL, 23), (SKILL, 24), (SKILL, 25))
    ]

    assert [str(tier) for tier in tiers] == ["trade", "shadow", "shadow", "shadow", "trade", "trade"]
    assert overall(record.feeder_scores.newest)["F04"].tier is FeederTier.TRADE
