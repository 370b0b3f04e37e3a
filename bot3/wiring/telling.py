"""Build the notifier and the chat that the settings configure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bot3.errors import SettingsError

if TYPE_CHECKING:
    from bot3.adapters.telegram.client import TelegramAddress
    from bot3.ports.chat import Chat
    from bot3.ports.notifier import Notifier
    from bot3.settings import Settings


def notifier_of(settings: Settings) -> Notifier | None:
    """Return the notifier that sends messages to Telegram; None if no token is set."""
    if not settings.telegram_token.get_secret_value():
        return None
    from bot3.adapters.telegram.notifier import TelegramNotifier  # noqa: PLC0415  # only homes with a token need it

    return TelegramNotifier(telegram_address(settings))


def telegram_address(settings: Settings) -> TelegramAddress:
    """Return the address of Telegram's Bot API, with the token and the chat. Raises SettingsError if no token is set."""
    from bot3.adapters.telegram.client import TelegramAddress  # noqa: PLC0415  # only homes with a token need it

    token = settings.telegram_token.get_secret_value()
    if not token:
        raise SettingsError(
            "BOT3_TELEGRAM_TOKEN is not set: create a bot with @BotFather, and set BOT3_TELEGRAM_TOKEN_FILE to its token's file"
        )
    return TelegramAddress(api_url=settings.telegram_api_url, token=token, chat_id=settings.telegram_chat_id)


@contextmanager
def telegram_chat(settings: Settings) -> Iterator[Chat]:
    """Open the chat of the settings, for receiving and answering messages; no request is sent yet. Raises SettingsError without a token."""
    from bot3.adapters.telegram.chat import TelegramChat  # noqa: PLC0415  # only homes with a token need it

    chat = TelegramChat(telegram_address(settings))
    try:
        yield chat
    finally:
        chat.close()
