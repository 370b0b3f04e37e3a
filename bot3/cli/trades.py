"""`bot3 trades` and `bot3 skipped`: show a bot's newest trades, and its newest decisions on signals with the reasons.

Trades of the platform's own bots are from their databases, those of other bots from the record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bot3.cli.output import JsonFlag, percent, print_json, print_table
from bot3.cli.session import seeded_platform
from bot3.errors import SettingsError
from bot3.trading.currencies import stake_currency
from bot3.trading.trades import RunMode
from bot3.usecases import formatting as fmt
from bot3.usecases.terms import definitions

if TYPE_CHECKING:
    import pandas as pd

    from bot3.wiring import Platform

BotOption = Annotated[str, typer.Option(help="BOT1, BOT2 or BOT3.")]
AnyBotOption = Annotated[str, typer.Option(help="BOT1, BOT2, BOT3, or a bot of the fleet or of an import.")]
LimitOption = Annotated[int, typer.Option(min=1, max=1_000, help="Maximum number of rows.")]


def register(app: typer.Typer) -> None:
    """Add the commands `trades` and `skipped` to the command line."""
    app.command(epilog=definitions("feeder"))(trades)
    app.command(epilog=definitions("hold", "feeder", "confidence"))(skipped)


def trades(
    bot: AnyBotOption = "BOT3",
    limit: LimitOption = 20,
    *,
    history: Annotated[bool, typer.Option("--history", help="Show the backtest history instead of the bot's own database.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show a bot's newest trades, open and closed; for other programs' bots, closed ones in the record."""
    with seeded_platform() as platform:
        if history and bot not in platform.bot_names:
            raise SettingsError(f"{bot!r} has no backtest history: bots with one are {', '.join(platform.bot_names)}")
        if bot in platform.bot_names:
            store = platform.history_store(bot) if history else platform.bot_store(bot)
            frame, source = store.trades_frame(limit=limit, offset=0), "history store" if history else "own database"
        else:
            frame, source = _recorded(platform, bot, limit=limit), f"from the record, revision {platform.record.revision()}"
    if as_json:
        print_json({"bot": bot, "source": source, "trades": frame})
        return
    print_table(
        f"{bot}, {source}",
        ("mode", "id", "pair", "side", "x", "feeder", "opened", "open rate", "closed", "close rate", "profit", "realised", "reason"),
        [
            (
                row.run_mode,
                row.trade_id,
                row.pair,
                "short" if row.is_short else "long",
                f"{row.leverage:.1f}",
                row.enter_tag,
                row.open_date,
                row.open_rate,
                None if row.is_open else row.close_date,
                None if row.is_open else row.close_rate,
                "open" if row.is_open else percent(profit),
                None if row.is_open else fmt.money(earned, stake_currency(str(row.pair))),
                None if row.is_open else row.exit_reason,
            )
            for row, profit, earned in zip(
                frame.itertuples(index=False), frame["close_profit"].tolist(), frame["close_profit_abs"].tolist(), strict=True
            )
        ],
    )


def _recorded(platform: Platform, bot: str, *, limit: int) -> pd.DataFrame:
    """Return the closed trades of a bot in the record, of all run modes, newest close first.

    Raises SettingsError if the name is neither in the record nor in the fleet file.
    """
    known = sorted({*platform.source_names, *platform.record.trades.counts()["bot"]})
    if bot not in known:
        raise SettingsError(f"{bot!r} is not a bot: valid names are {', '.join(known)}")
    found = platform.record.trades.frame(as_of=None, run_modes=tuple(RunMode), bots=[bot])
    return found.iloc[::-1].head(limit).assign(is_open=False)


def skipped(bot: BotOption = "BOT3", limit: LimitOption = 20, *, as_json: JsonFlag = False) -> None:
    """Show the newest decisions on signals: traded, or the reason why not."""
    with seeded_platform() as platform:
        platform.require_bot(bot)
        frame = platform.bot_store(bot).decisions_frame(limit=limit)
    if as_json:
        print_json({"bot": bot, "decisions": frame})
        return
    print_table(
        f"{bot}, decisions",
        ("candle closed", "pair", "side", "feeder", "confidence", "outcome", "reason"),
        [
            (row.candle_close_time, row.pair, "short" if row.is_short else "long", row.feeder_id, row.confidence, row.outcome, row.reason)
            for row in frame.itertuples(index=False)
        ],
    )
