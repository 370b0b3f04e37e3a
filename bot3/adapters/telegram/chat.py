"""Receive and answer messages of one Telegram chat by long polling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot3.adapters.telegram.client import TelegramAddress, TelegramClient
from bot3.ports.chat import ChatMessage

if TYPE_CHECKING:
    from telegram import Update


class TelegramChat:
    """A `Chat` for one thread; the caller must close it."""

    def __init__(self, address: TelegramAddress) -> None:
        self._client = TelegramClient(address)
        self._next = 0

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def name(self) -> str:
        """Return the bot's user name; empty if it has none."""
        return self._client.call(lambda bot: bot.get_me()).username or ""

    def skip_waiting(self) -> None:
        """Skip the messages sent before this call."""
        self._keep(self._client.call(lambda bot: bot.get_updates(offset=-1, timeout=0)))

    def messages(self, *, wait_s: float) -> list[ChatMessage]:
        """Return the messages since the last call, from all chats; wait for the first one, at most `wait_s` seconds, rounded down."""
        offset, wait = self._next, int(wait_s)
        updates = self._client.call(lambda bot: bot.get_updates(offset=offset, timeout=wait, allowed_updates=["message"]))
        # Telegram deletes these updates once the next request has a higher offset.
        self._keep(updates)
        return [_read(update) for update in updates if update.message is not None]

    def answer(self, html: str) -> None:
        """Send a text in Telegram's HTML to the configured chat."""
        chat_id = self._client.address.chat_id
        self._client.call(lambda bot: bot.send_message(chat_id=chat_id, text=html, parse_mode="HTML"))

    def _keep(self, updates: tuple[Update, ...]) -> None:
        self._next = max((update.update_id + 1 for update in updates), default=self._next)


def _read(update: Update) -> ChatMessage:
    message = update.message
    if message is None:
        raise ValueError("Telegram returned an update without a message, although only messages were requested")
    user = message.from_user
    return ChatMessage(chat_id=message.chat.id, user_id=None if user is None else user.id, text=message.text or "", at=message.date)
