"""Labels of a leverage bin and a horizon: what is joined comes apart again, and 24 h needs no mark."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.trading.horizons import Horizon
from bot3.trading.leverage_bins import DEFAULT_BINS
from bot3.trading.trade_classes import bin_of, class_label, class_parts, horizon_of


@given(name=st.sampled_from([*DEFAULT_BINS.names, *DEFAULT_BINS.outside, "*"]), horizon=st.sampled_from(Horizon))
def test_class_label_given_a_bin_and_a_horizon_then_comes_apart_again(name: str, horizon: Horizon) -> None:
    label = class_label(name, horizon)

    assert (class_parts(label), bin_of(label), horizon_of(label)) == ((name, horizon), name, horizon)
    assert (label == name) is (horizon is Horizon.DAY)


@pytest.mark.parametrize("label", ["2.0-3.5@", "2.0-3.5@9h", "2.0-3.5@24h", "*@7d@7d"])
def test_class_parts_given_a_text_that_is_no_label_then_raises(label: str) -> None:
    with pytest.raises(ValueError, match="orizon"):
        class_parts(label)
