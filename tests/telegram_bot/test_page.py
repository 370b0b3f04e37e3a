"""A page is one message that Telegram takes, whatever is in it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from telegram_bot.page import Page, Table, rendered
from tests.servers.bot_api import problem_of

texts = st.text(max_size=2_500)
cells = st.text(max_size=40)
tables = st.integers(1, 4).flatmap(
    lambda width: st.builds(
        Table,
        head=st.tuples(*[cells] * width),
        rows=st.lists(st.tuples(*[cells] * width), max_size=80).map(tuple),
        note=texts,
    )
)


@given(title=texts, blocks=st.lists(texts | tables, max_size=4), foot=st.lists(texts, max_size=3))
def test_rendered_given_any_page_then_telegram_takes_it(title: str, blocks: list[str | Table], foot: list[str]) -> None:
    html = rendered(Page(title=f"T{title}", blocks=tuple(blocks), foot=tuple(foot)))

    assert problem_of(html) == ""


def test_rendered_given_too_many_rows_then_says_that_some_are_left_out_and_keeps_its_foot() -> None:
    rows = tuple((f"PAIR{number}/USDT", "+1.00 %") for number in range(500))

    html = rendered(Page(title="Pairs", blocks=(Table(head=("pair", "avg"), rows=rows), "never shown"), foot=("As of noon",)))

    assert "PAIR0/USDT" in html
    assert "the rest does not fit in one message" in html
    assert html.endswith("<i>As of noon</i>")
    assert "never shown" not in html


def test_rendered_given_a_table_then_numbers_stand_under_each_other() -> None:
    table = Table(head=("bot", "USDT"), rows=(("BOT1", "+1.00"), ("BOT22", "-10.00")))

    assert rendered(Page(title="T", blocks=(table,))) == "<b>T</b>\n<pre>bot     USDT\nBOT1   +1.00\nBOT22 -10.00</pre>"
