"""The ledger: the same facts in any order make the same trade, by freqtrade's formulas."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.errors import InvalidTradeError
from bot3.trading.ledger import LedgerTrade, close_profit_so_far, project_trade
from bot3.trading.orders import Fill, FundingPayment, Intent, IntentLeg, IntentState, OrderSide
from bot3.trading.trades import RunMode
from tests.journals import PAIR, a_fill, a_payment, an_intent, minutes

ENTRY = an_intent()
EXIT = an_intent(IntentLeg.EXIT)
rates = st.integers(min_value=5_000, max_value=20_000).map(lambda cents: str(Decimal(cents) / 100))


def project(
    fills: list[Fill], funding: list[FundingPayment] | None = None, *, intents: tuple[Intent, ...] = (ENTRY, EXIT)
) -> LedgerTrade | None:
    return project_trade(bot="BOT1", run_mode=RunMode.PAPER, intents=intents, fills=fills, funding=funding or [])


def held(fills: list[Fill], funding: list[FundingPayment] | None = None, *, intents: tuple[Intent, ...] = (ENTRY, EXIT)) -> LedgerTrade:
    ledger = project(fills, funding, intents=intents)
    assert ledger is not None
    return ledger


def test_project_trade_given_no_entry_fill_then_there_is_none() -> None:
    assert project([]) is None


def test_project_trade_given_an_entry_in_parts_then_open_rate_is_their_mean() -> None:
    trade = held([a_fill(ENTRY, number=1, rate="100", amount="0.5"), a_fill(ENTRY, number=2, rate="104", amount="1.5", at=2)]).trade

    assert trade.is_open
    assert (trade.open_rate, trade.amount, trade.stake_amount, trade.open_date) == (103.0, 2.0, 41.2, minutes(1))
    assert trade.fee_open == pytest.approx(0.2 / 206)


@given(open_rate=rates, close_rate=rates, is_short=st.booleans(), funding=st.integers(min_value=-500, max_value=500))
def test_project_trade_given_one_entry_and_exit_then_profit_is_freqtrades(
    open_rate: str, close_rate: str, is_short: bool, funding: int
) -> None:
    entry, exit_ = an_intent(is_short=is_short), an_intent(IntentLeg.EXIT, is_short=is_short)
    fills = [a_fill(entry, number=1, rate=open_rate), a_fill(exit_, number=2, rate=close_rate, at=5)]

    trade = held(fills, [a_payment(1, amount=str(Decimal(funding) / 1000), at=3)], intents=(entry, exit_)).trade

    side = -1.0 if is_short else 1.0
    opened = trade.amount * trade.open_rate * (1 + side * trade.fee_open)
    assert trade.close_rate is not None
    closed = trade.amount * trade.close_rate * (1 - side * trade.fee_close) + side * trade.funding_fees
    assert trade.close_profit == pytest.approx(side * (closed / opened - 1) * trade.leverage, abs=1e-9)
    assert trade.close_profit_abs == pytest.approx(side * (closed - opened), abs=1e-9)


@given(data=st.data())
def test_project_trade_given_any_order_of_facts_then_is_the_same(data: st.DataObject) -> None:
    second = an_intent(IntentLeg.EXIT, attempt=2)
    fills = [
        a_fill(ENTRY, number=1, rate="100", amount="1.3"),
        a_fill(ENTRY, number=2, rate="101.37", amount="0.7", at=2),
        a_fill(EXIT, number=3, rate="103.1", amount="0.6", at=5),
        a_fill(second, number=4, rate="102.9", amount="1.1", at=6),
        a_fill(second, number=5, rate="99.97", amount="0.3", at=6),
    ]
    funding = [a_payment(1, amount="-0.013", at=3), a_payment(2, amount="0.007", at=4), a_payment(3, amount="9", at=7)]

    mixed = held(data.draw(st.permutations(fills)), data.draw(st.permutations(funding)), intents=(ENTRY, EXIT, second))

    assert mixed == held(fills, funding, intents=(ENTRY, EXIT, second))
    assert mixed.trade.funding_fees == pytest.approx(-0.006)


def test_project_trade_given_a_partial_exit_then_the_rest_is_open_and_profit_is_realized() -> None:
    ledger = held([a_fill(ENTRY, number=1, rate="100"), a_fill(EXIT, number=2, rate="110", amount="0.5", at=5)])

    assert ledger.trade.is_open
    assert (ledger.trade.amount, ledger.trade.stake_amount, ledger.trade.close_profit) == (1.5, 30.0, None)
    assert ledger.realized_profit_abs == pytest.approx(0.5 * 10 - 0.1 - 0.1 / 4)
    assert close_profit_so_far(ledger) == pytest.approx(ledger.realized_profit_abs / 200.1 * 5)


def test_project_trade_given_two_exits_then_the_last_names_rate_amount_and_reason() -> None:
    target = an_intent(IntentLeg.TARGET, trigger_rate=Decimal(110))
    fills = [
        a_fill(ENTRY, number=1, rate="100"),
        a_fill(EXIT, number=2, rate="104", amount="0.5", at=5),
        a_fill(target, number=3, rate="110", amount="1.5", at=9),
    ]

    ledger = held(fills, intents=(ENTRY, EXIT, target))

    trade = ledger.trade
    assert (trade.close_rate, trade.amount, trade.exit_reason, trade.close_date) == (110.0, 1.5, "roi", minutes(9))
    assert trade.close_profit_abs == pytest.approx(0.5 * 4 + 1.5 * 10 - 0.3)
    assert ledger.max_stake_amount == 40.0
    assert ledger.close_rate_requested == 110.0


def test_project_trade_given_a_stop_is_hit_then_says_stop_loss() -> None:
    stop = an_intent(IntentLeg.STOP, trigger_rate=Decimal(99), state=IntentState.ACKED)

    ledger = held([a_fill(ENTRY, number=1, rate="100"), a_fill(stop, number=2, rate="98.9", at=5)], intents=(ENTRY, stop))

    assert ledger.trade.exit_reason == "stop_loss"
    assert (ledger.stop_rate, ledger.initial_stop_rate, ledger.trade.stop_loss_pct) == (99.0, 99.0, -0.05)
    assert [order.status for order in ledger.orders] == ["closed"]


def test_project_trade_given_a_stop_was_moved_then_the_ratio_follows_it() -> None:
    old = an_intent(IntentLeg.STOP, trigger_rate=Decimal(99), state=IntentState.CANCELED)
    new = an_intent(IntentLeg.STOP, trigger_rate=Decimal("99.5"), state=IntentState.ACKED, attempt=2)

    ledger = held([a_fill(ENTRY, number=1, rate="100")], intents=(ENTRY, old, new))

    assert ledger.stop_rate == 99.5
    assert ledger.trade.stop_loss_pct == pytest.approx(-0.025)
    assert ledger.trade.initial_stop_loss_pct == -0.05
    assert [order.status for order in ledger.orders] == ["canceled", "open"]


@pytest.mark.parametrize(("is_short", "moved", "ratio"), [(False, "100.2", 0.01), (True, "99.8", 0.01)])
def test_project_trade_given_a_stop_beyond_the_entry_then_its_ratio_is_above_0_also_after_the_close(
    is_short: bool, moved: str, ratio: float
) -> None:
    entry = replace(ENTRY, side=OrderSide.SELL if is_short else OrderSide.BUY)
    first = "101" if is_short else "99"
    old = an_intent(IntentLeg.STOP, trigger_rate=Decimal(first), state=IntentState.CANCELED)
    new = an_intent(IntentLeg.STOP, trigger_rate=Decimal(moved), state=IntentState.CANCELED, attempt=2)
    never = an_intent(IntentLeg.STOP, trigger_rate=Decimal(100), state=IntentState.REJECTED, attempt=3)
    fills = [a_fill(entry, number=1, rate="100"), a_fill(EXIT, number=2, rate="103", at=5)]

    ledger = held(fills, intents=(entry, old, new, never, EXIT))

    assert ledger.stop_rate == float(moved)
    assert ledger.trade.stop_loss_pct == pytest.approx(ratio)
    assert ledger.trade.initial_stop_loss_pct == -0.05


def test_project_trade_given_funding_outside_its_life_then_leaves_it_out() -> None:
    funding = [a_payment(1, amount="5", at=1), a_payment(2, amount="-0.5", at=4), a_payment(3, amount="7", at=6)]

    trade = held([a_fill(ENTRY, number=1, rate="100"), a_fill(EXIT, number=2, rate="101", at=4)], funding).trade

    assert trade.funding_fees == -0.5


def test_project_trade_given_a_fill_of_another_trade_then_refuses() -> None:
    with pytest.raises(InvalidTradeError, match="not an order of this trade"):
        project([a_fill(an_intent(trade_id=9), number=1, rate="100")])


def test_project_trade_given_an_exit_without_a_reason_then_refuses() -> None:
    silent = an_intent(IntentLeg.EXIT, context={})

    with pytest.raises(InvalidTradeError, match=f"{PAIR}: exit intent .* has no exit_reason"):
        project([a_fill(ENTRY, number=1, rate="100"), a_fill(silent, number=2, rate="101", at=4)], intents=(ENTRY, silent))
