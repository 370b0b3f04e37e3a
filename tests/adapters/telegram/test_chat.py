"""Long polling and answers, with the real client against a Bot API on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bot3.adapters.telegram.chat import TelegramChat
from bot3.adapters.telegram.client import TelegramAddress
from bot3.errors import AlreadyRunningError, MessageRefusedError, NotifierBusyError
from tests.servers.bot_api import TOKEN, BotApi


@pytest.fixture
def api() -> Iterator[BotApi]:
    with BotApi() as server:
        yield server


@pytest.fixture
def chat(api: BotApi) -> Iterator[TelegramChat]:
    opened = TelegramChat(TelegramAddress(api_url=api.url, token=TOKEN, chat_id=77, timeout_s=0.5))
    yield opened
    opened.close()


def test_name_is_the_bots(chat: TelegramChat) -> None:
    assert chat.name() == "bot3_test_bot"


def test_messages_given_some_then_each_is_given_once(api: BotApi, chat: TelegramChat) -> None:
    api.say("/stats")
    api.say("/pairs", user=8, chat=-1001)

    found = chat.messages(wait_s=1)

    assert [(message.text, message.user_id, message.chat_id) for message in found] == [("/stats", 7, 77), ("/pairs", 8, -1001)]
    assert found[0].at.tzinfo is not None
    assert chat.messages(wait_s=0) == []


def test_skip_waiting_given_old_commands_then_only_later_ones_are_given(api: BotApi, chat: TelegramChat) -> None:
    for text in ("/one", "/two"):
        api.say(text)

    chat.skip_waiting()
    api.say("/three")

    assert [message.text for message in chat.messages(wait_s=1)] == ["/three"]


@pytest.mark.parametrize("fault", [500, "close", "cut", "hang", "html", ("wait", 1)])
def test_messages_given_trouble_then_is_busy_and_loses_none(api: BotApi, chat: TelegramChat, fault: Any) -> None:
    api.say("/stats")
    api.hang_s = 1.5
    api.faults["getUpdates"] = [fault]

    with pytest.raises(NotifierBusyError):
        chat.messages(wait_s=0)

    assert [message.text for message in chat.messages(wait_s=0)] == ["/stats"]


def test_messages_given_another_process_listens_then_names_the_remedy(api: BotApi, chat: TelegramChat) -> None:
    api.faults["getUpdates"] = [409]

    with pytest.raises(AlreadyRunningError, match="only one process may poll with a token"):
        chat.messages(wait_s=0)


def test_answer_given_html_then_it_arrives_in_the_chat(api: BotApi, chat: TelegramChat) -> None:
    chat.answer("<b>Profit</b>\n<pre>a &lt; b</pre>")

    assert (api.sent[0]["chat_id"], api.texts) == ("77", ["<b>Profit</b>\n<pre>a &lt; b</pre>"])


def test_answer_given_what_telegram_does_not_take_then_is_refused(chat: TelegramChat) -> None:
    with pytest.raises(MessageRefusedError, match="too long"):
        chat.answer("x" * 4_097)
