"""Publications and their versions."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot3.learning.parameters.publications import publication
from bot3.market.regimes import Regime
from bot3.trading.parameters import ParameterSet
from tests.journals import OPENED, minutes
from tests.learned import a_row

ROWS = {row.key: row for row in (a_row(), a_row(direction="long"))}
FACTORS = dict.fromkeys(Regime, (1.0, 1.0))


def published(**changes: Any) -> ParameterSet:
    given: dict[str, Any] = {
        "rows": ROWS,
        "rule": ["digest", None, 3],
        "regime_factors": FACTORS,
        "now": OPENED,
        "computed_at": minutes(1),
        "life": timedelta(days=7),
        "revision": 9,
        **changes,
    }
    return publication(given.pop("rows"), **given)


def test_publication_given_rows_then_each_has_its_version() -> None:
    found = published()

    assert [row.version for row in found.rows.values()] == [found.version] * 2
    assert [replace(row, version="v1") for row in found.rows.values()] == list(ROWS.values())
    assert (found.known_at, found.computed_at, found.expires_at) == (OPENED, minutes(1), OPENED + timedelta(days=7))
    assert (found.revision, found.regime_factors) == (9, FACTORS)


@pytest.mark.parametrize("changes", [{"computed_at": minutes(9)}, {"revision": 10}])
def test_version_given_the_same_content_then_is_the_same(changes: dict[str, Any]) -> None:
    assert published(**changes).version == published().version


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": {"*|*|*": a_row()}},
        {"rows": {**ROWS, "*|*|*": a_row(stop_loss=-0.04)}},
        {"rows": {**ROWS, "*|*|*": a_row(is_censored=True)}},
        {"rows": {**ROWS, "*|*|*": a_row(known_at=minutes(1))}},
        {"rule": ["digest", None, 4]},
        {"regime_factors": {**FACTORS, Regime.VOLATILE: (1.1, 1.0)}},
        {"life": timedelta(days=8)},
        {"now": minutes(1)},
    ],
)
def test_version_given_other_content_then_is_another(changes: dict[str, Any]) -> None:
    assert published(**changes).version != published().version
