"""Who is answered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.ports.chat import ChatMessage
from telegram_bot.received import Access, access_of, command_of
from tests.journals import OPENED

GROUP, LISTED = -1001, 7


def a_message(*, chat: int = GROUP, user: int | None = LISTED, text: str = "/stats") -> ChatMessage:
    return ChatMessage(chat_id=chat, user_id=user, text=text, at=OPENED)


@pytest.mark.parametrize(
    ("message", "access"),
    [
        (a_message(), Access.ANSWER),
        (a_message(user=8), Access.REFUSE),  # another member of the group
        (a_message(user=None), Access.REFUSE),  # a channel, an anonymous administrator
        (a_message(chat=7), Access.IGNORE),  # a listed user in another chat
        (a_message(chat=8, user=8), Access.IGNORE),
    ],
)
def test_access_given_a_writer_and_a_chat_then_both_must_be_known(message: ChatMessage, access: Access) -> None:
    assert access_of(message, chat_id=GROUP, users={LISTED}) is access


@given(chat=st.integers(), user=st.none() | st.integers())
def test_access_given_an_empty_list_then_nobody_is_answered(chat: int, user: int | None) -> None:
    assert access_of(a_message(chat=chat, user=user), chat_id=GROUP, users=()) is not Access.ANSWER


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/stats", ("stats", ())),
        ("/Profit 7 backtest", ("profit", ("7", "backtest"))),
        ("/stats@bot3_bot", ("stats", ())),
        ("/stats@another_bot", None),
        ("stats", None),
        ("/", None),
        ("", None),
    ],
)
def test_command_given_a_text_then_its_name_and_arguments_or_none(text: str, command: object) -> None:
    assert command_of(text, bot_name="Bot3_bot") == command
