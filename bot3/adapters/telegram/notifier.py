"""Send messages to one Telegram chat."""

from __future__ import annotations

from html import escape

from bot3.adapters.telegram.client import TelegramAddress, TelegramClient
from bot3.ports.notifier import Message

LIMIT = 4_096
"""Maximum characters (UTF-16 units) of one message, after HTML tags are parsed."""
_CUT = "…"


class TelegramNotifier:
    """A `Notifier` for one Telegram chat; it opens a connection for each message, so that any thread may call it."""

    def __init__(self, address: TelegramAddress) -> None:
        self._address = address

    def notify(self, message: Message) -> None:
        """Deliver a message. Raises NotifierBusyError, NotifierRefusedError or MessageRefusedError."""
        text = rendered(message)
        with TelegramClient(self._address) as client:
            client.call(
                lambda bot: bot.send_message(
                    chat_id=self._address.chat_id, text=text, parse_mode="HTML", disable_notification=message.is_silent
                )
            )


def rendered(message: Message) -> str:
    """Return a message as Telegram's HTML with a bold title; a title or text that is too long is cut and ends with an ellipsis."""
    title = _fitting(message.title, LIMIT // 4)
    body = _fitting("\n".join(message.lines), LIMIT - len(title) - 1)
    return f"<b>{escape(title)}</b>" + (f"\n{escape(body)}" if body else "")


def _fitting(text: str, limit: int) -> str:
    # Telegram counts UTF-16 units, after the entities are parsed.
    units = text.encode("utf-16-le")
    if len(units) // 2 <= limit:
        return text
    return units[: 2 * (limit - len(_CUT))].decode("utf-16-le", errors="ignore") + _CUT
