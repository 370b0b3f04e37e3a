"""What the process looks at: one bot's trouble silences nobody."""

from __future__ import annotations

import shutil
from pathlib import Path

from bot3.ports.control import TradingState
from bot3.settings import load_settings
from bot3.wiring import open_platform
from telegram_bot.__main__ import parts_of
from telegram_bot.alerts import LOOKS
from tests.clocks import MovableClock
from tests.dashboard.homes import NOW
from tests.telegram_bot.test_monitor import FakeChat


def test_look_given_a_bot_whose_database_cannot_be_read_then_its_alert_is_told_with_the_others(filled: Path, tmp_path: Path) -> None:
    home = Path(shutil.copytree(filled, tmp_path / "home"))
    for path in (home / "bots").glob("BOT2.sqlite*"):
        path.unlink()
    settings = load_settings({}, env_file=home / "no.env", home=home, telegram_token="1:token", telegram_chat_id=77, telegram_closes=True)
    with open_platform(settings) as writers:
        writers.control.set_trading_state("BOT1", TradingState.HALTED, reason="drawdown", at=NOW)

    with open_platform(settings, read_only=True, beats=True) as platform:
        parts = parts_of(platform, FakeChat(MovableClock()))
        for _ in range(LOOKS):
            parts.look()

        told = {key for key in platform.notices.marks() if key.startswith("alert|")}

    assert {"alert|problem|BOT2", "alert|halted|BOT1"} <= told
