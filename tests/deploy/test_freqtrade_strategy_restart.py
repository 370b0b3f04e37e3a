"""A trade of the mixin in freqtrade's own database: its protection outlives the process and the learning that made it."""

from __future__ import annotations

import json
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot3.market.regimes import Regime
from bot3.usecases.publishing.files import write_published_files
from tests.journals import OPENED
from tests.learned import a_recommendation, a_row, a_score, a_set

ROOT = Path(__file__).parent.parent.parent
PYTHON = ROOT / ".venv-freqtrade" / "bin" / "python"
PAIR = "ETH/USDT:USDT"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason="freqtrade is not there: `bash deploy/freqtrade/environment.sh` makes its environment"),
]

SCRIPT = """
import json, sys
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
import pandas as pd
from freqtrade.configuration import Configuration
from freqtrade.enums import RunMode
from freqtrade.persistence import Order, Trade, init_db
from freqtrade.resolvers import StrategyResolver

step, database, learning, strategies, at = sys.argv[1:]
now = datetime.fromisoformat(at)
named = {"config": [str(Path(strategies) / "config.example.json")], "strategy_path": strategies}
config = Configuration(named, RunMode.DRY_RUN).get_config()
config["bot3"] = {"learning_directory": learning}
init_db(f"sqlite:///{database}")
strategy = StrategyResolver.load_strategy(config)
dates = pd.date_range(end=pd.Timestamp(now) - pd.Timedelta("5min"), periods=3, freq="5min")
candles = pd.DataFrame({"date": dates, "high": 100.0, "low": 100.0, "close": 100.0, "bot3_sigma": 0.04})
strategy.dp = SimpleNamespace(get_analyzed_dataframe=lambda pair, timeframe: (candles, now))
strategy.ft_bot_start()
pair = "ETH/USDT:USDT"
if step == "open":
    asked = {"pair": pair, "current_time": now, "entry_tag": "F03", "side": "long"}
    leverage = strategy.leverage(max_leverage=20.0, **asked)
    assert strategy.confirm_trade_entry(**asked)
    trade = Trade(
        pair=pair, stake_amount=10.0, amount=0.3, open_rate=100.0, fee_open=0.0005, fee_close=0.0005, exchange="binance", open_date=now,
        leverage=leverage, is_short=False, enter_tag="F03", is_open=True, trading_mode="futures", price_precision=0.01, precision_mode=4,
        precision_mode_price=4,
    )
    trade.recalc_open_trade_value()
    trade.adjust_stop_loss(trade.open_rate, strategy.stoploss, initial=True)
    Trade.session.add(trade)
    Trade.commit()
    strategy.order_filled(trade=trade, order=SimpleNamespace(ft_order_side=trade.entry_side))
    strategy.ft_stoploss_adjust(trade.open_rate, trade, now, 0.0, 0, after_fill=True)
    Trade.commit()
trade = Trade.get_open_trades()[0]
def exits(rate, at=now):
    found = strategy.should_exit(trade, rate, at, enter=False, exit_=False)
    return [exit_.exit_reason or exit_.exit_type.value for exit_ in found]
print(json.dumps({
    "entry": strategy.leverage(pair=pair, current_time=now, max_leverage=20.0, entry_tag="F03", side="long"),
    "may_enter": strategy.confirm_trade_entry(pair=pair, current_time=now, entry_tag="F03", side="long"),
    "calm": exits(100.0), "target": exits(104.9), "below_target": exits(104.7),
    "time": exits(100.0, trade.open_date_utc + timedelta(hours=24)), "stop": exits(95.99),
    "stop_rate": trade.stop_loss, "is_trailing": trade.is_stop_loss_trailing,
}))
"""


def run(step: str, directory: Path, learning: Path, *, minutes: float) -> dict[str, Any]:
    at = (OPENED + timedelta(minutes=minutes)).isoformat()
    arguments = [step, str(directory / "trades.sqlite"), str(learning), str(ROOT / "deploy" / "freqtrade"), at]
    (directory / "user_data").mkdir(exist_ok=True)
    done = subprocess.run([str(PYTHON), "-c", SCRIPT, *arguments], capture_output=True, text=True, check=False, cwd=directory)
    assert done.returncode == 0, done.stderr[-3_000:]
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def test_open_trade_given_a_restart_without_learning_then_it_ends_as_it_was_planned(tmp_path: Path) -> None:
    parameters = a_set("v1", a_row(), regime_factors=dict.fromkeys(Regime, (1.0, 1.0)))
    learned, lost = tmp_path / "learned", tmp_path / "lost"
    lost.mkdir()
    write_published_files(learned, parameters=parameters, scores=[a_score()], recommendation=a_recommendation())

    first = run("open", tmp_path, learned, minutes=5)
    later = run("again", tmp_path, lost, minutes=60)

    assert (first["may_enter"], later["may_enter"]) == (True, False)
    for said in (first, later):
        assert (said["stop_rate"], said["is_trailing"]) == (96.0, False)
        assert (said["calm"], said["below_target"]) == ([], [])
        assert (said["target"], said["time"], said["stop"]) == (["take_profit", "roi"], ["time_exit"], ["stop_loss"])
