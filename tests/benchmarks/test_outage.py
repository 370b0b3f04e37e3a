"""Servers that fail under real services: all is equal again by itself. The whole of it: `python -m benchmarks.outage`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.outage import plan, run
from benchmarks.outage_servers import KINDS
from benchmarks.outage_stack import outage_stack

POSSIBLE = {"postgres": KINDS, "influx": KINDS}


def test_plan_given_twice_as_many_faults_as_there_are_kinds_then_each_comes_twice_and_lasts_as_long_as_asked() -> None:
    faults = plan(30, longest_s=300.0, random=np.random.default_rng(3), possible=POSSIBLE)

    names = [fault.name for fault in faults]
    assert {name: names.count(name) for name in names} == dict.fromkeys(names, 2)
    assert len(set(names)) == 15
    assert all(1.0 <= fault.lasts_s <= 300.0 for fault in faults)
    assert min(fault.lasts_s for fault in faults) < 5.0
    assert max(fault.lasts_s for fault in faults) > 60.0


def test_plan_given_a_disk_that_cannot_be_filled_then_leaves_that_out() -> None:
    possible = {"postgres": KINDS, "influx": KINDS[:-1]}

    names = {fault.name for fault in plan(40, longest_s=2.0, random=np.random.default_rng(3), possible=possible)}

    assert "disk_full postgres" in names
    assert {"disk_full influx", "disk_full postgres+influx"} & names == set()


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.influx
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_services_given_servers_that_fail_then_nothing_is_lost_doubled_or_left_to_a_person(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o055)  # PostgreSQL's own user must pass through it
    with outage_stack(tmp_path) as outages:
        found = run(outages, count=3, longest_s=2.0, seed=35)  # both stop, both disks are full, PostgreSQL is half-open

    assert {name: found[name] for name in ("faults", "lost", "doubled", "manual")} == {"faults": 3, "lost": 0, "doubled": 0, "manual": 0}
    assert int(str(found["closes"])) > 3
