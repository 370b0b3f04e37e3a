"""Run the Telegram process with `python -m telegram_bot`: answer commands and send alerts in one chat.

Exit codes: 0 stopped on request; 1 a bug; 2 invalid settings, or a token that Telegram does not accept; 3 no seeded home, or invalid data;
6 another process receives messages with this token.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from datetime import timedelta

import structlog

from bot3.errors import Bot3Error, DataError, SettingsError
from bot3.logs import configure_logs, redacted
from bot3.ports.chat import Chat
from bot3.private_files import create_private_files
from bot3.settings import Settings, load_settings
from bot3.stopping import Stop
from bot3.usecases.fleet.bot_state import TELEGRAM
from bot3.usecases.fleet.status import Alert, alerts, read_fleet
from bot3.wiring import Platform, home_identity, is_seeded, open_platform, telegram_chat, when_available
from telegram_bot.alerts import PREFIX, AlertWatch
from telegram_bot.closed import CloseWatch
from telegram_bot.commands import CommandHandler
from telegram_bot.control import Control
from telegram_bot.copies import DIFFERS, CopyWatch
from telegram_bot.home import BotHome
from telegram_bot.monitor import Monitor, Parts

log = structlog.get_logger()


def main() -> int:
    """Run the process and return its exit code."""
    create_private_files()
    try:
        settings = load_settings()
        configure_logs(TELEGRAM, level=settings.log_level, secrets=settings.secrets())
        _require(settings)
        _run(settings)
    except Bot3Error as error:
        print(f"telegram_bot: {redacted(str(error))}", file=sys.stderr)  # noqa: T201  # logs may not be set up yet
        return error.exit_code
    return 0


def _require(settings: Settings) -> None:
    if not settings.telegram_token.get_secret_value():
        raise SettingsError(
            "BOT3_TELEGRAM_TOKEN is not set: create a bot with @BotFather and set BOT3_TELEGRAM_TOKEN_FILE to its token's file"
        )
    if not is_seeded(settings):
        raise DataError(f"{settings.home} contains no seeded home: run `bot3 init` (or `make run`), or set BOT3_HOME to a seeded home")
    if not settings.telegram_users:
        log.warning("nobody_is_answered", remedy="set BOT3_TELEGRAM_USERS to the ids of permitted users; alerts are sent in any case")


def _run(settings: Settings) -> None:
    stopping = Stop()
    with ExitStack() as closing:
        platform = closing.enter_context(open_platform(settings, read_only=True, beats=True))
        chat = closing.enter_context(telegram_chat(settings))
        monitor = when_available(lambda: Monitor(parts_of(platform, chat)), should_stop=stopping.is_asked)
        if monitor is None:
            return
        log.info(
            "telegram_started", home=str(settings.home), closes_are_told=settings.telegram_closes, takes_commands=settings.telegram_control
        )
        monitor.run(should_stop=stopping.is_asked)
    log.info("telegram_stopped")


def parts_of(platform: Platform, chat: Chat) -> Parts:
    """Build what the monitor loop needs from a platform and a chat. Raises SettingsError if no token is set."""
    settings, clock, home = platform.settings, platform.clock, BotHome(platform)
    if platform.notifier is None:
        raise SettingsError("BOT3_TELEGRAM_TOKEN is not set")
    letters, differed = settings.home / "influx" / "dead_letters.jsonl", platform.notices.marks().get(f"{PREFIX}{DIFFERS}", "")
    copies = CopyWatch(platform.publishing, platform.record.outbox, letters=letters, differed=differed)
    opened = home_identity(settings)
    control = Control(platform.control, clock=clock, bots=platform.bot_names) if settings.telegram_control else None
    desk = CommandHandler(home, control=control)
    quiet = timedelta(minutes=settings.notice_quiet_minutes)

    def wrong() -> list[Alert]:
        return [*alerts(read_fleet(home, busy_is_problem=True)), *copies.look(now=clock.now(), wall_now=clock.wall_now())]

    watch, closed = AlertWatch(platform.notices, look=wrong, quiet=quiet), CloseWatch(home, platform.notices)

    def look() -> int:
        if home_identity(settings) != opened:
            raise DataError(f"{settings.home} was replaced by another home: restart this process to read it")
        found = watch.step(wall_now=clock.wall_now())
        if settings.telegram_closes:
            closed.step(wall_now=clock.wall_now())
        return found

    return Parts(
        chat=chat,
        notifier=platform.notifier,
        notices=platform.notices,
        control=platform.control,
        clock=clock,
        chat_id=settings.telegram_chat_id,
        users=frozenset(settings.telegram_users),
        answer=lambda name, arguments, user: desk.answer(name, arguments, user=user),
        look=look,
    )


if __name__ == "__main__":
    sys.exit(main())
