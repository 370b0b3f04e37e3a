"""Build the ports from the settings, and the use cases on them; only this package selects adapters."""

from bot3.wiring.backups import store_backups
from bot3.wiring.databases import facts_of_server, server_urls
from bot3.wiring.fleet import fleet_of
from bot3.wiring.measuring import metrics_page, metrics_server
from bot3.wiring.platform import (
    Platform,
    begin_epoch,
    finish_restore,
    home_identity,
    is_seeded,
    mark_restoring,
    open_platform,
    require_whole,
)
from bot3.wiring.ports import SIMULATED_START
from bot3.wiring.telling import telegram_chat
from bot3.wiring.tools import (
    fetch_candle_files,
    file_candles,
    inspect_candle_files,
    open_backtest,
    open_foreign_trades,
    shown_address,
)
from bot3.wiring.waiting import when_available

__all__ = [
    "SIMULATED_START",
    "Platform",
    "begin_epoch",
    "facts_of_server",
    "fetch_candle_files",
    "file_candles",
    "finish_restore",
    "fleet_of",
    "home_identity",
    "inspect_candle_files",
    "is_seeded",
    "mark_restoring",
    "metrics_page",
    "metrics_server",
    "open_backtest",
    "open_foreign_trades",
    "open_platform",
    "require_whole",
    "server_urls",
    "shown_address",
    "store_backups",
    "telegram_chat",
    "when_available",
]
