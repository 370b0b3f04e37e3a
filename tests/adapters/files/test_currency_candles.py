"""Our own bots trade the pairs of one stake currency; candles of the others stay readable."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from bot3.adapters.files.candle_format import write_candles
from bot3.adapters.files.candles import FileCandles
from bot3.adapters.files.currency_candles import CurrencyCandles
from bot3.adapters.simulated.market import SimulatedMarket
from bot3.errors import SettingsError
from bot3.settings import load_settings
from bot3.wiring import open_platform

START = datetime(2025, 1, 6, tzinfo=UTC)
END = START + timedelta(days=1)
OTHER, OWN = "ALFA/USDC:USDC", "BRAVO/USDT:USDT"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    market = SimulatedMarket(11, starts_at=START, ends_at=END, pairs=2)
    for pair, made in zip((OTHER, OWN), market.pairs(), strict=True):
        write_candles(tmp_path, pair=pair, timeframe="5m", candles=market.candles(made, "5m", start=START, end=END))
    return tmp_path


def test_pairs_given_two_currencies_then_lists_the_wallets_own_and_reads_both(directory: Path) -> None:
    files = FileCandles(directory, wall_now=lambda: END)
    candles = CurrencyCandles(files, currency="USDT")

    assert candles.pairs() == (OWN,)
    read = candles.candles(OTHER, "5m", start=START, end=END)
    pd.testing.assert_frame_equal(read, files.candles(OTHER, "5m", start=START, end=END))


def test_pairs_given_none_of_the_currency_then_names_the_setting_and_what_there_is(directory: Path) -> None:
    candles = CurrencyCandles(FileCandles(directory, wall_now=lambda: END), currency="BTC")

    with pytest.raises(SettingsError, match="only USDC, USDT: set BOT3_STAKE_CURRENCY"):
        candles.pairs()


def test_platform_given_candles_of_two_currencies_then_its_bots_trade_those_of_their_wallets(directory: Path, tmp_path: Path) -> None:
    own = {"BOT3_CANDLES": str(directory), "BOT3_STAKE_CURRENCY": "USDC"}
    settings = load_settings(own, env_file=tmp_path / "no.env", home=tmp_path / "home")

    with open_platform(settings) as platform:
        assert platform.candles.pairs() == (OTHER,)
