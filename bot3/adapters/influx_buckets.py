"""The buckets of a published copy: which bot's trades lie where, and how long they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot3.errors import SettingsError

_MARGIN = timedelta(hours=1)
"""A point so close to the end of a bucket's retention may be refused by a server whose clock is ahead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InfluxBuckets:
    """Where what is published, and how long it is kept.

    Parameters
    ----------
    trades : mapping
        Bot to bucket; a bot that is not named has "<name>_trades".
    learning_life, trades_life : timedelta
        Retention, in wall time; zero: for ever.
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
            If that bucket is another bot's, or that of learning: its readers would find trades that are not theirs.
        """
        if bot in self.trades:
            return self.trades[bot]
        name = f"{bot}_trades"
        owner = "learning" if name == self.learning else next((owner for owner, bucket in self.trades.items() if bucket == name), None)
        if owner is not None:
            raise SettingsError(
                f"trades of {bot} would go to InfluxDB's bucket {name}, which is that of {owner}: give the bot another name, or set "
                f"{'BOT3_INFLUX_BUCKET' if owner == 'learning' else f'BOT3_{owner}_INFLUX_BUCKET'} to another bucket"
            )
        return name

    def kept_since(self, now: datetime, *, trades: bool) -> datetime | None:
        """Return the time before which a bucket keeps nothing; None for one that keeps all."""
        life = self.trades_life if trades else self.learning_life
        return now - life + _MARGIN if life else None
