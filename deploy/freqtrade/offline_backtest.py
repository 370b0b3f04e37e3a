# Licensed under the Apache License, Version 2.0.
"""Run freqtrade's own backtest without a network, and write its trades with their plans as JSON.

    python offline_backtest.py CONFIG MARKETS OUT

Runs in freqtrade's environment. MARKETS is a JSON list in ccxt's form, which replaces the exchange's response; everything else is unchanged
freqtrade: its data handler, simulation, fees, funding and leverage tiers.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import ccxt.pro
from freqtrade.configuration import setup_utils_configuration
from freqtrade.enums import RunMode
from freqtrade.optimize.backtesting import Backtesting
from freqtrade.persistence import LocalTrade

FIELDS = (
    "pair",
    "is_short",
    "leverage",
    "stake_amount",
    "open_rate",
    "close_rate",
    "stop_loss",
    "liquidation_price",
    "enter_tag",
    "exit_reason",
)


def offline_exchange(markets: list[dict[str, Any]]) -> type:
    """Return ccxt's Binance class with the given markets instead of those fetched from the network, and without currencies."""

    class OfflineBinance(ccxt.pro.binance):  # type: ignore[misc,unused-ignore]
        async def fetch_markets(self, params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
            del params
            return markets

        async def fetch_currencies(self, params: dict[str, Any] | None = None) -> dict[str, Any]:
            del params
            return {}

    return OfflineBinance


def described(trade: LocalTrade) -> dict[str, Any]:
    """Return the fields of a closed trade that the benchmark compares; times are ISO texts in UTC."""
    return {
        **{name: getattr(trade, name) for name in FIELDS},
        "open_date": trade.open_date_utc.isoformat(),
        "close_date": trade.close_date_utc.isoformat(),
        "close_profit": trade.close_profit,
        "plan": trade.get_custom_data("bot3_plan"),
    }


def main(config_file: str, markets_file: str, out_file: str) -> None:
    """Run the backtest of a configuration file with a file of markets; write trades, counts of refused entries and duration as JSON."""
    ccxt.pro.binance = offline_exchange(json.loads(Path(markets_file).read_text(encoding="utf-8")))
    config = setup_utils_configuration({"config": [config_file], "backtest_cache": "none", "export": "none"}, RunMode.BACKTEST)
    backtesting = Backtesting(config)
    began = time.perf_counter()
    backtesting.start()
    result = {
        "trades": [described(trade) for trade in LocalTrade.bt_trades],
        "refusals": dict(backtesting.strategylist[0].bot3_refusals),
        "backtest_s": round(time.perf_counter() - began, 2),
    }
    Path(out_file).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
