"""What is missing when a kill is given up on counts, though a later close heals it."""

from __future__ import annotations

from benchmarks.kill_lineage import Settling


def settling(*answers: list[str]) -> Settling:
    """Return one that hears these answers, one a question, and then that nothing is missing; it asks but once."""
    told = iter(answers)
    return Settling(findings=lambda: next(told, []), require_alive=lambda: None, patience_s=0.0)


def test_settling_given_nothing_missing_then_tells_the_seconds_and_that_all_is_well() -> None:
    heard = settling()

    assert heard.wait("kill 1") is not None
    assert heard.verdict() == {"missing": 0, "findings": []}


def test_settling_given_what_is_missing_at_the_deadline_then_counts_it_though_it_is_healed_later() -> None:
    heard = settling(["no event"], [])

    assert heard.wait("kill 1") is None
    assert heard.wait("kill 2") is not None
    assert heard.verdict() == {"missing": 1, "findings": ["after kill 1: no event"]}


def test_settling_given_what_is_missing_at_the_end_then_counts_it() -> None:
    heard = settling([], ["no event"])

    assert heard.wait("kill 1") is not None
    assert heard.verdict() == {"missing": 1, "findings": ["no event"]}
