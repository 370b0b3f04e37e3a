"""Client of Telegram's Bot API: one request at a time; it raises errors of `bot3.errors`, whose texts do not contain the token."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from bot3.errors import AlreadyRunningError, MessageRefusedError, NotifierBusyError, NotifierError, NotifierRefusedError

if TYPE_CHECKING:
    from telegram import Bot
    from telegram.error import TelegramError
    from telegram.request import BaseRequest

# The client is imported when it is first opened: the import takes half a second, and most homes send no messages.

_OF_THE_TEXT = ("can't parse", "message is too long", "message text is empty", "must be encoded in utf-8")
"""Parts of Telegram's errors about a text; every other rejection concerns the chat or the token, and a person can correct it."""
_LOGGERS = ("telegram", "httpx", "httpcore")
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramAddress:
    """URL of the Bot API, the token of our bot, and the chat.

    Parameters
    ----------
    timeout_s : float
        Timeout of one request, wall seconds; it must be longer than a long poll waits.
    """

    api_url: str
    token: str = field(repr=False)
    chat_id: int
    timeout_s: float = 5.0


class TelegramClient:
    """A connection to the Bot API for one thread; the caller must close it."""

    def __init__(self, address: TelegramAddress) -> None:
        self.address = address
        _silence()
        self._runner = asyncio.Runner()
        self._bot, self._requests = self._runner.run(_open(address))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        # Not `Bot.shutdown`: it closes nothing if the bot was not initialized, and the initialization would send a request to the server.
        self._runner.run(_close(self._requests))
        self._runner.close()

    def call(self, request: Callable[[Bot], Awaitable[_Answer]]) -> _Answer:
        """Send a request and return its response.

        Raises
        ------
        NotifierBusyError
            If the server did not respond before the timeout, reports an internal error, or requires a wait before a retry.
        NotifierRefusedError
            If the server rejects the token or the chat.
        MessageRefusedError
            If the server rejects the text.
        AlreadyRunningError
            If another process polls with this token.
        """
        from telegram.error import TelegramError  # noqa: PLC0415  # only homes with a token load Telegram's client

        failed: TelegramError | None = None
        try:
            return self._runner.run(_awaited(request, self._bot))
        except TelegramError as error:
            failed = error
        # Raised outside the clause, so that the client's error is not its context: that error contains URLs with the token.
        raise self._translated(failed)

    def _translated(self, error: TelegramError) -> NotifierError | AlreadyRunningError:
        from telegram import error as errors  # noqa: PLC0415  # only homes with a token load Telegram's client

        said = error.message.replace(self.address.token, "***")
        if isinstance(error, errors.RetryAfter):
            return NotifierBusyError(f"Telegram requires a wait before a retry: {said}", retry_after_s=_seconds(error.retry_after))
        if isinstance(error, errors.Conflict):
            remedy = "only one process may poll with a token: stop the other one, or give each its own bot"
            return AlreadyRunningError(f"Telegram reports {said!r}: {remedy}")
        if isinstance(error, errors.InvalidToken | errors.ChatMigrated | errors.Forbidden | errors.BadRequest):
            return _refusal(error, said)
        return NotifierBusyError(f"Telegram was not reached, or failed: {said}")


def _refusal(error: TelegramError, said: str) -> NotifierError:
    from telegram import error as errors  # noqa: PLC0415  # only homes with a token load Telegram's client

    if isinstance(error, errors.InvalidToken):
        return NotifierRefusedError("Telegram rejects this token as invalid: set BOT3_TELEGRAM_TOKEN to the token from @BotFather")
    if isinstance(error, errors.ChatMigrated):
        return NotifierRefusedError(f"the group became another chat: set BOT3_TELEGRAM_CHAT_ID to {error.new_chat_id}")
    if isinstance(error, errors.BadRequest) and any(words in said.lower() for words in _OF_THE_TEXT):
        return MessageRefusedError(f"Telegram rejects the text: {said}")
    return NotifierRefusedError(f"Telegram rejects the request: {said} (check BOT3_TELEGRAM_CHAT_ID; was the bot started or added there?)")


async def _open(address: TelegramAddress) -> tuple[Bot, Sequence[BaseRequest]]:
    from telegram import Bot  # noqa: PLC0415  # only homes with a token load Telegram's client
    from telegram.request import HTTPXRequest  # noqa: PLC0415  # only homes with a token load Telegram's client

    wait = address.timeout_s
    plain, polling = (
        HTTPXRequest(connection_pool_size=1, connect_timeout=wait, read_timeout=wait, write_timeout=wait, pool_timeout=wait)
        for _ in range(2)
    )
    bot = Bot(address.token, base_url=f"{address.api_url.rstrip('/')}/bot", request=plain, get_updates_request=polling)
    return bot, (plain, polling)


async def _close(requests: Sequence[BaseRequest]) -> None:
    for request in requests:
        await request.shutdown()


async def _awaited(request: Callable[[Bot], Awaitable[_Answer]], bot: Bot) -> _Answer:
    return await request(bot)


def _seconds(period: object) -> float:
    return float(period.total_seconds()) if hasattr(period, "total_seconds") else float(str(period))


def _silence() -> None:
    # Without this variable, the client warns about a change in its next release whenever Telegram requires a wait.
    os.environ.setdefault("PTB_TIMEDELTA", "true")
    for name in _LOGGERS:
        # They log URLs with the token at INFO, and users' messages at CRITICAL: the platform's own log reports the errors.
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
