"""Keys of groups: what is joined comes apart again, whatever a pair is called."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot3.learning.replay.groups import group_key, group_of_key
from bot3.trading.leverage_bins import DEFAULT_BINS
from bot3.trading.parameters import ANY
from bot3.trading.trades import DIRECTIONS


@given(
    pair=st.text() | st.sampled_from(["NA|STY/USDT", "|", "a|long|1.0-2.0"]),
    side=st.sampled_from([*DIRECTIONS, ANY]),
    name=st.sampled_from([*DEFAULT_BINS.names, ANY]),
)
def test_group_of_key_given_any_pair_then_is_the_group_that_made_the_key(pair: str, side: str, name: str) -> None:
    assert group_of_key(group_key((pair, side, name))) == (pair, side, name)
