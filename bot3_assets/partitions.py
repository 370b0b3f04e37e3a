"""Partitions of assets: by bot, and by feeder and market week."""

from __future__ import annotations

import dagster as dg

from bot3.settings import load_settings
from bot3.trading.signals import FEEDER_IDS
from bot3.wiring.fleet import source_names

MARKET_WEEKS = "market_weeks"
_FEEDER, _WEEK = "feeder", "week"

_BOTS = source_names(load_settings())

# The fleet file defines the bots; the code location reads it again when it is reloaded.
bots = dg.StaticPartitionsDefinition(list(_BOTS))
# Weeks are dynamic: only a home knows the weeks of its market (simulated, replayed or live), a calendar does not, and the code location
# must load without an open home. A key is the date of the Monday.
weeks = dg.DynamicPartitionsDefinition(name=MARKET_WEEKS)
feeder_weeks = dg.MultiPartitionsDefinition({_FEEDER: dg.StaticPartitionsDefinition(list(FEEDER_IDS)), _WEEK: weeks})


def feeder_week_key(feeder_id: str, week: str) -> str:
    """Return the partition key of a feeder and a week."""
    return str(dg.MultiPartitionKey({_FEEDER: feeder_id, _WEEK: week}))


def feeder_and_week(key: str) -> tuple[str, str]:
    """Return the feeder and the week of a partition key (`feeder_week_key`)."""
    feeder_id, week = key.split("|")
    return feeder_id, week


def all_feeders_of_week(week: str) -> dict[str, str]:
    """Return the run tags that request one week's partitions of every feeder in one run."""
    return {
        "dagster/asset_partition_range_start": feeder_week_key(FEEDER_IDS[0], week),
        "dagster/asset_partition_range_end": feeder_week_key(FEEDER_IDS[-1], week),
    }


def all_bots() -> dict[str, str]:
    """Return the run tags that request every bot's partition in one run."""
    return {"dagster/asset_partition_range_start": _BOTS[0], "dagster/asset_partition_range_end": _BOTS[-1]}
