"""Exit rules in addition to stop and target (giveback, break-even stop, time), as settings of a bot and as the values of one trade."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from bot3.errors import InvalidTradeError

Context = Mapping[str, str | float | int | bool | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRules:
    """Exit rules of a bot, and of the replays that learn for it; activations are in units of the volatility at entry, infinity is off.

    Parameters
    ----------
    giveback_activation_sigma, giveback_share : float
        A trade is exited at the open after a close that gives back at least this share of its best open move, once that move reached the
        activation.
    break_even_activation_sigma : float
        The stop is moved to the entry plus costs at the first open beyond that rate after the best open move reached the activation.

    Raises
    ------
    InvalidTradeError
        If an activation is not above 0, or the share is not between 0 and 1.
    """

    giveback_activation_sigma: float = math.inf
    giveback_share: float = 0.5
    break_even_activation_sigma: float = math.inf

    def __post_init__(self) -> None:
        if not 0.0 < self.giveback_share < 1.0:
            raise InvalidTradeError(f"giveback_share must be between 0 and 1, was {self.giveback_share}")
        for name in ("giveback_activation_sigma", "break_even_activation_sigma"):
            if not getattr(self, name) > 0.0:
                raise InvalidTradeError(f"{name} must be above 0, was {getattr(self, name)}")

    @property
    def numbers(self) -> tuple[float, float, float]:
        """Return (giveback activation, giveback share, break-even activation), the input of the replay kernel."""
        return self.giveback_activation_sigma, self.giveback_share, self.break_even_activation_sigma

    @property
    def digest_content(self) -> dict[str, float] | None:
        """Return the rules that are on, as part of a digest's content; None if no rule is on."""
        content: dict[str, float] = {}
        if self.giveback_activation_sigma < math.inf:
            content |= {"activation_sigma": self.giveback_activation_sigma, "share": self.giveback_share}
        if self.break_even_activation_sigma < math.inf:
            content |= {"break_even_activation_sigma": self.break_even_activation_sigma}
        return content or None

    def of_trade(self, *, sigma: float, expires_at: datetime) -> ExitRule:
        """Return the rules of a trade with a volatility at entry, with activations as moves of the price."""
        return ExitRule(
            giveback_activation_move=self.giveback_activation_sigma * sigma,
            giveback_share=self.giveback_share,
            break_even_activation_move=self.break_even_activation_sigma * sigma,
            expires_at=expires_at,
        )


NO_RULES = ExitRules()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRule:
    """Exit rules of one trade; activations are moves of the price from the entry's fill, `expires_at` is market time."""

    giveback_activation_move: float
    giveback_share: float
    expires_at: datetime
    break_even_activation_move: float = math.inf

    @property
    def numbers(self) -> tuple[float, float, float]:
        """Return (giveback activation, giveback share, break-even activation), the input of `exit_law`."""
        return self.giveback_activation_move, self.giveback_share, self.break_even_activation_move

    @classmethod
    def of_context(cls, context: Context) -> Self:
        """Read the rules that were stored with an entry (`orders.ENTRY_CONTEXT`); without a break-even activation that rule is off.

        Raises InvalidTradeError if a value has the wrong type or is no time, or one of the others is missing.
        """
        activation, share, expires_at = (context.get(name) for name in ("giveback_activation_move", "giveback_share", "expires_at"))
        break_even = context.get("break_even_activation_move", math.inf)
        if not isinstance(activation, int | float) or not isinstance(share, int | float) or not isinstance(expires_at, str):
            raise InvalidTradeError(
                f"an entry's context has a missing or invalid giveback_activation_move, giveback_share or expires_at: {dict(context)}"
            )
        if not isinstance(break_even, int | float):
            raise InvalidTradeError(f"an entry's context has an invalid break_even_activation_move: {dict(context)}")
        try:
            leaves_at = datetime.fromisoformat(expires_at)
        except ValueError as error:
            raise InvalidTradeError(f"an entry's context has an invalid expires_at: {dict(context)}") from error
        return cls(
            giveback_activation_move=activation,
            giveback_share=share,
            expires_at=leaves_at,
            break_even_activation_move=break_even,
        )

    def context(self) -> dict[str, str | float | int | bool | None]:
        """Return the fields that are stored with the entry; a break-even stop that is off has none."""
        fields: dict[str, str | float | int | bool | None] = {
            "giveback_activation_move": self.giveback_activation_move,
            "giveback_share": self.giveback_share,
            "expires_at": self.expires_at.isoformat(),
        }
        if self.break_even_activation_move < math.inf:
            fields["break_even_activation_move"] = self.break_even_activation_move
        return fields
