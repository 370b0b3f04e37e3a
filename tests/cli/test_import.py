"""`bot3 import` as a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot3.adapters.sql.engine import sqlite_url
from bot3.learning.replay.groups import SEVERAL_ORDERS
from tests.cli.commands import bot3
from tests.servers.freqtrade_db import FreqtradeDb, a_row, an_open_row, an_order

pytestmark = pytest.mark.slow


def test_import_given_a_database_then_copies_it_once(home: Path, tmp_path: Path) -> None:
    old = FreqtradeDb(sqlite_url(tmp_path / "old.sqlite"))
    old.add(a_row(1), a_row(2), a_row(3, open_rate=0.0), an_open_row(4))
    old.add_orders(*(an_order(number, trade_id=1, side=side) for number, side in enumerate(("buy", "buy", "sell"))))
    command = ("import", "--bot", "OLD", "--run-mode", "live", "--db", str(tmp_path / "old.sqlite"), "--json")

    first, second = (bot3(*command, home=home).json() for _ in range(2))

    assert first["import"] | {"refused": None} == {
        "bot": "OLD",
        "run_mode": "live",
        "inserted": 2,
        "updated": 0,
        "unchanged": 0,
        "open": 1,
        "refused": None,
        "left_out": [{"reason": SEVERAL_ORDERS, "count": 1, "trade_ids": [1]}],
        "without_orders": 1,
        "first_close": "2025-03-03T13:00:04+00:00",
        "last_close": "2025-03-03T13:00:04+00:00",
    }
    assert [row["trade_id"] for row in first["import"]["refused"]] == [3]
    assert (second["import"]["inserted"], second["import"]["unchanged"]) == (0, 2)
    assert first["is_learned_from"] is False
    (told,) = bot3("status", "--json", home=home).json()["fleet"]
    assert (told["bot"], told["run_mode"], told["database"], told["closed_trades"]) == ("OLD", "live", "not watched", 2)
    shown = bot3("trades", "--bot", "OLD", "--json", home=home).json()
    assert shown["source"].startswith("from the record, revision ")
    assert [row["trade_id"] for row in shown["trades"]] == [2, 1]
    assert "BTC/USDT:USDT" in bot3("trades", "--bot", "OLD", home=home).said


def test_trades_given_markup_in_tags_and_pairs_then_prints_them_as_they_are(home: Path, tmp_path: Path) -> None:
    odd = {"enter_tag": "[/red] [bold]x", "exit_reason": "[/] [link=http://x]", "pair": "[red]X[/red]/USDT:USDT"}
    FreqtradeDb(sqlite_url(tmp_path / "old.sqlite")).add(a_row(1, **odd), a_row(2, exit_reason="\x1b[2J"))
    bot3("import", "--bot", "OLD", "--run-mode", "live", "--db", str(tmp_path / "old.sqlite"), home=home)

    ended = bot3("trades", "--bot", "OLD", home=home)

    squeezed = "".join(ended.out.split())
    assert ended.code == 0
    assert "[/red][bold]x" in squeezed
    assert "\\x1b[2J" in squeezed
    assert "\x1b" not in ended.out


def test_import_given_a_bot_that_is_synced_then_refuses(home: Path, tmp_path: Path) -> None:
    FreqtradeDb(sqlite_url(tmp_path / "old.sqlite"))

    ended = bot3("import", "--bot", "BOT1", "--run-mode", "paper", "--db", str(tmp_path / "old.sqlite"), home=home)

    assert ended.code == 2
    assert "paper trades of BOT1 are synced from its own database" in ended.said


def test_import_given_a_dry_run_then_its_trades_are_paper(home: Path, tmp_path: Path) -> None:
    old = FreqtradeDb(sqlite_url(tmp_path / "old.sqlite"))
    old.add(a_row(1))
    old.add_orders(an_order(1, trade_id=1, side="buy") | {"order_id": "dry_run_buy_BTC/USDT:USDT_1741003204.0"})

    told = bot3("import", "--bot", "OLD", "--db", str(tmp_path / "old.sqlite"), "--json", home=home).json()
    as_live = bot3("import", "--bot", "OLD", "--run-mode", "live", "--db", str(tmp_path / "old.sqlite"), home=home)

    assert (told["import"]["run_mode"], told["import"]["inserted"]) == ("paper", 1)
    assert (as_live.code, "its run mode is paper" in as_live.said) == (3, True)


def test_import_given_no_database_then_names_it(home: Path, tmp_path: Path) -> None:
    ended = bot3("import", "--bot", "OLD", "--db", str(tmp_path / "gone.sqlite"), home=home)

    assert ended.code == 3
    assert "gone.sqlite does not exist" in ended.said
