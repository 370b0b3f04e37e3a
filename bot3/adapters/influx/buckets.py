"""The buckets of a published copy: which bucket contains which bot's trades, and how long its points are retained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot3.errors import SettingsError

_MARGIN = timedelta(hours=1)
"""A server whose clock is ahead may reject a point this close to the end of a bucket's retention."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InfluxBuckets:
    """Bucket and retention of everything that is published.

    Parameters
    ----------
    trades : mapping
        Bot to bucket; the default for other bots is "<name>_trades".
    learning_life, trades_life : timedelta
        Retention, in wall time; zero means forever.
    """

    learning: str
    trades: Mapping[str, str]
    learning_life: timedelta
    trades_life: timedelta

    def of_bot(self, bot: str) -> str:
        """Return the bucket of a bot's trades.

        Raises
        ------
        SettingsError
            If that bucket belongs to another bot or to learning: their readers would find trades of this bot.
        """
        if bot in self.trades:
            return self.trades[bot]
        name = f"{bot}_trades"
        owner = "learning" if name == self.learning else next((owner for owner, bucket in self.trades.items() if bucket == name), None)
        if owner is not None:
            raise SettingsError(
                f"trades of {bot} would be written to InfluxDB's bucket {name}, which belongs to {owner}: rename the bot, or set "
                f"{'BOT3_INFLUX_BUCKET' if owner == 'learning' else f'BOT3_{owner}_INFLUX_BUCKET'} to another bucket"
            )
        return name

    def kept_since(self, now: datetime, *, trades: bool) -> datetime | None:
        """Return the time before which a bucket retains no points; None for unlimited retention."""
        life = self.trades_life if trades else self.learning_life
        return now - life + _MARGIN if life else None
