"""Execute the commands that a person has queued in the control store: pause, resume, halt, force_exit."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from bot3.errors import ExchangeError, StoreError
from bot3.trading.orders import IntentState
from bot3.trading.risk import TradingState
from bot3.trading.trades import ExitReason
from execution.bot import Account, Bot
from execution.exits import Exits
from execution.states import BotState

_STATES = {"pause": TradingState.REDUCING, "resume": TradingState.ACTIVE, "halt": TradingState.HALTED}
_REASONS = {"pause": "paused by command", "resume": "", "halt": "halted by command"}
_SAID = {
    IntentState.DONE: "closed at market",
    IntentState.ACKED: "the exchange acknowledged the exit order",
    IntentState.SENT: "the exit order was sent, the response is pending",
    IntentState.DEAD: "the exchange is busy: the exit will be retried",
    IntentState.REJECTED: "the exchange rejected the exit: read the reason in the trade's intents",
}

log = structlog.get_logger()


class Commands:
    """Executes the commands of one bot, each at most once, and stores the result of each with it."""

    def __init__(self, bot: Bot, *, state: BotState, exits: Exits) -> None:
        self._bot, self._state, self._exits = bot, state, exits

    def obey(self, account: Account) -> None:
        """Take the queued commands and execute them."""
        control, clock = self._bot.shared.control, self._bot.shared.clock
        for number, command, argument in control.take_commands(self._bot.name, at=clock.wall_now()):
            result = self._obey_or_tell(command, argument, account)
            log.info("command_obeyed", bot=self._bot.name, command=command, argument=argument, result=result)
            control.finish_command(number, result=result, at=clock.wall_now())

    def _obey_or_tell(self, command: str, argument: str, account: Account) -> str:
        """Execute a command and return its result text; an error of a store or of the exchange is returned as text.

        It is not raised, because a taken command is never taken again.
        """
        try:
            return self._obey(command, argument, account)
        except (StoreError, ExchangeError) as error:
            log.exception("command_failed", bot=self._bot.name, command=command, argument=argument)
            return f"failed, check the bot's state before you send the command again: {error}"

    def _obey(self, command: str, argument: str, account: Account) -> str:
        if command in _STATES:
            self._state.command(_STATES[command], _REASONS[command])
            return f"{self._state.state.value}: {self._state.reason}" if self._state.reason else self._state.state.value
        others: dict[str, Callable[[str, Account], str]] = {"force_exit": self._force_exit}
        if command not in others:
            return f"refused: unknown command {command!r}, valid commands are {', '.join([*_STATES, *others])}"
        return others[command](argument, account)

    def _force_exit(self, argument: str, account: Account) -> str:
        trade = next((trade for trade in account.trades.values() if str(trade.trade_id) == argument.strip()), None)
        if trade is None:
            return f"refused: {self._bot.name} has no open trade with the id {argument}"
        state = self._exits.leave(trade, account, reason=ExitReason.FORCE_EXIT)
        if state is None:
            return "refused: an exit is under way, or the trade has no open position"
        return _SAID.get(state, state.value)
