"""The steps of learning: in which order each queries the sources and the clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn, cast

import pytest

from bot3.trading.trades import RunMode
from bot3.usecases.learning.steps import LearningSteps


class ClockReadError(Exception):
    """Ends a step at its first look at the clock."""


@pytest.mark.parametrize(
    "step",
    [LearningSteps.relearn_everything, LearningSteps.learn_parameters, lambda steps: steps.learn_from_closes([])],
    ids=["relearn_everything", "learn_parameters", "learn_from_closes"],
)
def test_step_given_a_source_that_responds_late_then_reads_the_clock_after_it(step: Callable[[LearningSteps], object]) -> None:
    calls: list[str] = []

    def reachable(_: Sequence[Any]) -> list[Any]:
        calls.append("sources")
        return []

    def moment() -> NoReturn:
        calls.append("clock")
        raise ClockReadError

    unused = cast("Any", None)
    steps = LearningSteps(
        record=unused,
        session=unused,
        candles=unused,
        sources=lambda _: [],
        reachable=reachable,
        run_modes=[RunMode.PAPER],
        moment=moment,
    )

    with suppress(ClockReadError):
        step(steps)

    assert calls == ["sources", "clock"]
