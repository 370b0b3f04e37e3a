"""Table of the ten feeders, which differ in horizon, in their features, and in the trade they predict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from bot3.errors import LearningError
from bot3.learning.feeders.labels import Barriers
from bot3.market.features import FEATURE_FAMILIES
from bot3.trading.horizons import Horizon
from bot3.trading.signals import FEEDER_IDS


class Setup(StrEnum):
    """Kind of recent move (the feature `FeederSpec.setup_feature`) after which a feeder evaluates a candle."""

    ANY = "any"
    MOMENTUM = "momentum"  # trades in the direction of the recent move
    REVERSAL = "reversal"  # trades against it


@dataclass(frozen=True, slots=True, kw_only=True)
class FeederSpec:
    """Specification of one feeder.

    Parameters
    ----------
    families : tuple of str
        Families of `FEATURE_FAMILIES` that it uses.
    barriers : Barriers
        The trade whose net win it predicts, for long and for short.
    horizon : Horizon
        Longest time that its trades are open; the time over which `barriers` are labelled may be shorter.
    setup : Setup
        It is trained on, and evaluates, only candles after such a move, which the feature `setup_feature` measures.
    signal_share : float
        Share of candles, both directions together, on which it signals a trade in out-of-fold data.
    """

    feeder_id: str
    title: str
    families: tuple[str, ...]
    barriers: Barriers
    horizon: Horizon = Horizon.DAY
    setup: Setup = Setup.ANY
    setup_feature: str = "move_48"
    signal_share: float = 0.015

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Return the features that it uses, in order."""
        return tuple(name for family in self.families for name in FEATURE_FAMILIES[family])


def _spec(feeder_id: str, title: str, families: str, barriers: tuple[int, float, float], *, setup: str = "any@move_48") -> FeederSpec:
    horizon, stop, target = barriers
    kind, feature = setup.split("@")
    return FeederSpec(
        feeder_id=feeder_id,
        title=title,
        families=tuple(families.split()),
        barriers=Barriers(stop_sigma=stop, target_sigma=target, horizon_candles=horizon),
        setup=Setup(kind),
        setup_feature=feature,
    )


_ALL = "technical regime volume momentum"

# Horizon in candles, stop and target in sigma of that horizon.
FEEDERS: Mapping[str, FeederSpec] = MappingProxyType(
    {
        spec.feeder_id: spec
        for spec in (
            _spec("F01", "Hour, technical", "technical regime", (12, 1.5, 1.5)),
            _spec("F02", "Two hours, reversal", "technical volume", (24, 1.0, 1.0), setup="reversal@move_12"),
            _spec("F03", "Four hours, momentum", "momentum regime", (48, 0.8, 1.6), setup="momentum@move_48"),
            _spec("F04", "Four hours, volume", "volume regime", (48, 1.0, 1.0)),
            _spec("F05", "Eight hours, everything", _ALL, (96, 1.0, 1.0)),
            _spec("F06", "Eight hours, reversal", "technical regime momentum", (96, 1.2, 0.8), setup="reversal@move_96"),
            _spec("F07", "Twelve hours, momentum", "momentum volume", (144, 0.7, 1.4), setup="momentum@move_96"),
            _spec("F08", "Half a day, regime", "regime momentum", (144, 1.0, 1.0)),
            _spec("F09", "Day, trend", "technical momentum", (288, 0.6, 1.5), setup="momentum@move_288"),
            _spec("F10", "Day, everything", _ALL, (288, 1.0, 1.0)),
        )
    }
)


def find_feeder(feeder_id: str) -> FeederSpec:
    """Return the specification of a feeder. Raises LearningError for an unknown one."""
    spec = FEEDERS.get(feeder_id)
    if spec is None:
        raise LearningError(f"feeder {feeder_id!r} is unknown: it must be one of {', '.join(FEEDER_IDS)}")
    return spec
