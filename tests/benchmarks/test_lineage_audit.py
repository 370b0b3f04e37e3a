"""The audit behind `benchmarks.kill_lineage` finds what is missing: a benchmark that finds nothing must be able to."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from benchmarks.closed_trades import closed_trade
from benchmarks.lineage_audit import LineageAudit
from bot3.wiring import open_platform
from bot3_assets.lineage import Lineage, report_closes
from tests.seeded import copy_of_home, tiny_settings

pytestmark = pytest.mark.slow  # a seeded home


def test_audit_given_a_close_then_finds_what_is_missing_until_it_is_learned_and_told(tmp_path: Path) -> None:
    with open_platform(tiny_settings(copy_of_home(tmp_path))) as platform, dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        lineage = Lineage(instance=instance, source="test")
        report_closes(lineage, platform, bots=platform.source_names)
        audit = LineageAudit(platform=platform, instance=instance)
        # No sensor ran: its cursor is missing all along.
        cursor = audit.findings()

        platform.bot_store("BOT1").import_trades([closed_trade(platform, 0)])
        committed = audit.findings()
        platform.steps.learn_from_closes(platform.sources())
        learned = audit.findings()
        report_closes(lineage, platform, bots=platform.source_names)
        told = audit.findings()

    assert [text.partition(" is ")[0] for text in cursor] == ["the cursor of closes_to_parameters"]
    assert committed[:2] == [
        "BOT1: 1 closes are not in the record, 0 are surplus",
        "bot_trades of BOT1: Dagster shows 0 rows, the store has 1",
    ]
    assert learned[0].startswith("1 publications of parameters have no materialization")
    assert learned[1] == "the newest materialization of the parameters does not have the version in force"
    assert [text.split(":")[0] for text in learned[2:-1]] == [
        "bot_trades of BOT1",
        "synced_trades of BOT1",
        "trade_replays of BOT1",
    ]
    assert len(told) == 1
