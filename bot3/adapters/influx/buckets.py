"""The InfluxDB buckets of the record's copy: one for published learning and one for each bot's trades, and their retention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot3.errors import SettingsError

_MARGIN = timedelta(hours=1)
"""Points whose retention ends within this time are not written: a server whose clock is ahead may reject them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InfluxBuckets:
    """Names and retention of the buckets.

    Parameters
    ----------
    learning : str
        Bucket of published learning.
    trades : mapping
        Bucket by bot; a bot that is not in it has the bucket "<name of the bot>_trades".
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
            If that bucket belongs to another bot or to published learning.
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
        """Return the time of the oldest points that a bucket retains for at least another hour of wall time; None if it retains all.

        `trades` selects the retention of trades, otherwise that of learning is used.
        """
        life = self.trades_life if trades else self.learning_life
        return now - life + _MARGIN if life else None
