"""The InfluxDB buckets of a published copy: the bucket of each bot's trades and of learning, and how long their points are retained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot3.errors import SettingsError

_MARGIN = timedelta(hours=1)
"""A server whose clock is ahead may reject a point this close to the end of a bucket's retention."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InfluxBuckets:
    """Names and retention of the buckets.

    Parameters
    ----------
    learning : str
        Bucket of learning.
    trades : mapping
        Bucket by bot; the bucket of a bot that is not in it is "<name>_trades".
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
        """Return the wall time from which on a bucket retains points for at least another hour; None if its retention is unlimited.

        `trades` selects the retention of trades, otherwise that of learning is used.
        """
        life = self.trades_life if trades else self.learning_life
        return now - life + _MARGIN if life else None
