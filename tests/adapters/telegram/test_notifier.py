"""The real client against a Bot API on loopback, with faults; and the token, which nothing tells."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.adapters.telegram.client import TelegramAddress, TelegramClient
from bot3.adapters.telegram.notifier import LIMIT, TelegramNotifier, rendered
from bot3.errors import MessageRefusedError, NotifierBusyError, NotifierError, NotifierRefusedError
from bot3.ports.notifier import Message
from tests.servers.bot_api import TOKEN, BotApi, problem_of

HELLO = Message(title="Run failed: backlog", lines=("run 1 < 2 & 3", "http://127.0.0.1:3000/runs/1"))


@pytest.fixture
def api() -> Iterator[BotApi]:
    with BotApi() as server:
        yield server


def notifier(api: BotApi, **changes: Any) -> TelegramNotifier:
    address = TelegramAddress(api_url=api.url, token=TOKEN, chat_id=77, timeout_s=0.4)
    return TelegramNotifier(replace(address, **changes))


def test_notify_given_a_message_then_it_arrives_escaped_in_the_chat(api: BotApi) -> None:
    notifier(api).notify(HELLO)

    (sent,) = api.sent
    assert (sent["chat_id"], sent["parse_mode"]) == ("77", "HTML")
    assert sent["text"] == "<b>Run failed: backlog</b>\nrun 1 &lt; 2 &amp; 3\nhttp://127.0.0.1:3000/runs/1"


def test_notify_given_a_silent_message_then_makes_no_sound(api: BotApi) -> None:
    notifier(api).notify(replace(HELLO, is_silent=True))

    assert api.sent[0]["disable_notification"] == "true"


def test_notify_given_a_flood_then_says_how_long_to_wait(api: BotApi) -> None:
    api.faults["sendMessage"] = [("wait", 17)]

    with pytest.raises(NotifierBusyError) as caught:
        notifier(api).notify(HELLO)

    assert (caught.value.retry_after_s, api.sent) == (17.0, [])


@pytest.mark.parametrize("fault", [500, 502, 503, "hang", "close", "cut", "html"])
def test_notify_given_trouble_then_is_busy_and_the_next_one_arrives(api: BotApi, fault: Any) -> None:
    api.faults["sendMessage"] = [fault]
    telling = notifier(api)

    with pytest.raises(NotifierBusyError):
        telling.notify(HELLO)
    before = len(api.sent)
    telling.notify(HELLO)

    assert len(api.sent) == before + 1


def test_notify_given_nobody_listens_then_is_busy() -> None:
    with BotApi() as gone:
        address = gone.url

    with pytest.raises(NotifierBusyError, match="not reached"):
        TelegramNotifier(TelegramAddress(api_url=address, token=TOKEN, chat_id=77)).notify(HELLO)


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [({"token": "9:wrong"}, "BOT3_TELEGRAM_TOKEN"), ({"chat_id": 5}, "BOT3_TELEGRAM_CHAT_ID")],
)
def test_notify_given_a_wrong_token_or_chat_then_is_refused_with_the_remedy(api: BotApi, changes: Any, remedy: str) -> None:
    with pytest.raises(NotifierRefusedError, match=remedy):
        notifier(api, **changes).notify(HELLO)


def test_notify_given_a_group_that_became_another_then_is_refused_with_its_new_id(api: BotApi) -> None:
    api.faults["sendMessage"] = [("migrate", -1009)]

    with pytest.raises(NotifierRefusedError, match="BOT3_TELEGRAM_CHAT_ID to -1009"):
        notifier(api).notify(HELLO)


def test_ask_given_a_text_that_telegram_does_not_take_then_that_text_alone_is_refused(api: BotApi) -> None:
    address = TelegramAddress(api_url=api.url, token=TOKEN, chat_id=77)

    with TelegramClient(address) as client, pytest.raises(MessageRefusedError, match="Can't parse entities"):
        client.call(lambda bot: bot.send_message(chat_id=77, text="<b>open", parse_mode="HTML"))


def test_notify_given_a_bot_that_was_blocked_then_is_refused(api: BotApi) -> None:
    api.faults["sendMessage"] = [403]

    with pytest.raises(NotifierRefusedError, match="blocked"):
        notifier(api).notify(HELLO)


@pytest.mark.parametrize("fault", [None, ("wait", 3), 401, 403, 404, 409, 500, "hang", "close", "cut", "html"])
def test_notify_given_any_ending_then_the_token_is_nowhere(
    api: BotApi, fault: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    api.faults["sendMessage"] = [fault]
    told, chained = "", []

    with caplog.at_level(logging.DEBUG):
        try:
            notifier(api).notify(HELLO)
        except Exception as error:  # noqa: BLE001  # whatever it is
            told = "".join(traceback.TracebackException.from_exception(error, capture_locals=False).format()) + repr(error)
            chained = [error.__cause__, error.__context__]

    written = capfd.readouterr()
    assert [error for error in chained if error is not None] == []
    assert TOKEN not in told + caplog.text + written.out + written.err
    assert TOKEN not in repr(TelegramAddress(api_url="http://a", token=TOKEN, chat_id=1))
    assert "canary" not in told + caplog.text


def test_notifier_error_given_any_then_its_exit_code_is_refused_data() -> None:
    assert issubclass(NotifierBusyError, NotifierError)
    assert NotifierBusyError.exit_code == 3


@given(title=st.text(min_size=1, max_size=50).filter(str.strip), lines=st.lists(st.text(max_size=6_000), max_size=3))
def test_rendered_given_any_text_then_telegram_takes_it(title: str, lines: list[str]) -> None:
    assert problem_of(rendered(Message(title=title, lines=tuple(lines)))) == ""


def test_rendered_given_too_much_then_says_that_it_was_cut() -> None:
    text = rendered(Message(title="Many", lines=("\N{BAR CHART}" * LIMIT,)))

    assert text.endswith("…")
