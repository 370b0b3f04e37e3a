"""The Bot API through its client: one request at a time, its words as our errors, its token in none of them."""

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

# The client is imported when it is first opened: it costs half a second, and most homes tell nobody.

_OF_THE_TEXT = ("can't parse", "message is too long", "message text is empty", "must be encoded in utf-8")
"""What Telegram says of a text; all else that it refuses is about the chat, which a person can mend."""
_LOGGERS = ("telegram", "httpx", "httpcore")
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramAddress:
    """Where the Bot API is, as whom it is spoken to, and which chat.

    Parameters
    ----------
    timeout_s : float
        Of one request, above what a long poll waits for.
    """

    api_url: str
    token: str = field(repr=False)
    chat_id: int
    timeout_s: float = 5.0


class TelegramClient:
    """A connection to the Bot API, for one thread; to be closed."""

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
        # Not `Bot.shutdown`: it closes nothing of a bot that was not initialized, and initializing asks the server.
        self._runner.run(_close(self._requests))
        self._runner.close()

    def ask(self, request: Callable[[Bot], Awaitable[_Answer]]) -> _Answer:
        """Send a request and return its answer.

        Raises
        ------
        NotifierBusyError
            If the server was not reached, did not answer in time, is in trouble or asks for patience.
        NotifierRefusedError
            If it does not know the token, or the chat is not open to it.
        MessageRefusedError
            If it does not take the text.
        AlreadyRunningError
            If another process listens with this token.
        """
        from telegram.error import TelegramError  # noqa: PLC0415

        failed: TelegramError | None = None
        try:
            return self._runner.run(_awaited(request, self._bot))
        except TelegramError as error:
            failed = error
        # Outside of the clause: causes and contexts of the client's errors hold addresses, and those hold the token.
        raise self._translated(failed)

    def _translated(self, error: TelegramError) -> NotifierError | AlreadyRunningError:
        from telegram import error as errors  # noqa: PLC0415

        said = error.message.replace(self.address.token, "***")
        if isinstance(error, errors.RetryAfter):
            return NotifierBusyError(f"Telegram asks for patience: {said}", retry_after_s=_seconds(error.retry_after))
        if isinstance(error, errors.Conflict):
            remedy = "one process may listen with a token: stop the other one, or give each its own bot"
            return AlreadyRunningError(f"Telegram says {said!r}: {remedy}")
        if isinstance(error, errors.InvalidToken | errors.ChatMigrated | errors.Forbidden | errors.BadRequest):
            return _refusal(error, said)
        return NotifierBusyError(f"Telegram was not reached, or is in trouble: {said}")


def _refusal(error: TelegramError, said: str) -> NotifierError:
    from telegram import error as errors  # noqa: PLC0415

    if isinstance(error, errors.InvalidToken):
        return NotifierRefusedError("Telegram does not know this token: take the one of @BotFather as BOT3_TELEGRAM_TOKEN")
    if isinstance(error, errors.ChatMigrated):
        return NotifierRefusedError(f"the group became another chat: set BOT3_TELEGRAM_CHAT_ID to {error.new_chat_id}")
    if isinstance(error, errors.BadRequest) and any(words in said.lower() for words in _OF_THE_TEXT):
        return MessageRefusedError(f"Telegram does not take the text: {said}")
    return NotifierRefusedError(f"Telegram refuses it: {said} (BOT3_TELEGRAM_CHAT_ID; was the bot started or added there?)")


async def _open(address: TelegramAddress) -> tuple[Bot, Sequence[BaseRequest]]:
    from telegram import Bot  # noqa: PLC0415
    from telegram.request import HTTPXRequest  # noqa: PLC0415

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
    # The client reads this each time it tells of a wait; without it, it warns of its own next release.
    os.environ.setdefault("PTB_TIMEDELTA", "true")
    for name in _LOGGERS:
        # They log addresses with the token at INFO, and what people wrote at CRITICAL: we say ourselves what went wrong.
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
