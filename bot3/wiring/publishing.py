"""The copy of the record in InfluxDB: publishing to it, reading it, and comparing it with the record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bot3.adapters.influx.buckets import InfluxBuckets
from bot3.errors import Bot3Error, SettingsError, StoreBusyError, StoreError
from bot3.file_replacement import replace_file

if TYPE_CHECKING:
    from bot3.adapters.influx.server import InfluxServer
    from bot3.adapters.sql.record.record import SqlRecord
    from bot3.ports.learning import LearningReader
    from bot3.ports.publisher import Origin, PublishedCopy, Publisher
    from bot3.settings import Settings
    from bot3.usecases.publishing.check import HeadsGap, PublishedCheck, Recorded
    from bot3.usecases.publishing.publish import PublishReport, ReplayReport, Tell

_FOLDER = "influx"
_LETTERS = "dead_letters.jsonl"
_LAST_ERROR = "last_error.txt"
_LOCK_WAIT_S = 0.05


def buckets_of(settings: Settings) -> InfluxBuckets:
    """Return the names and retentions of the InfluxDB buckets that the settings name."""
    return InfluxBuckets(
        learning=settings.influx_bucket,
        trades={"BOT1": settings.bot1_influx_bucket, "BOT2": settings.bot2_influx_bucket, "BOT3": settings.bot3_influx_bucket},
        learning_life=timedelta(days=settings.influx_learning_days),
        trades_life=timedelta(days=settings.influx_trades_days),
    )


@contextmanager
def noted(path: Path) -> Iterator[None]:
    """Run a block; if it raises a Bot3Error, write its text to a file, which other processes report; if it succeeds, remove the file."""
    try:
        yield
    except Bot3Error as error:
        _write_note(path, str(error))
        raise
    # A disk that is full or read-only must not hide the result of the step.
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _write_note(path: Path, text: str) -> None:
    with suppress(OSError):
        # A server that is down is queried several times a second: the file is written only if the error changes.
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            replace_file(path, text.encode())


class LastOrigin:
    """Returns the record's origin (identity and epoch); while the record is unavailable, the last origin that it returned."""

    def __init__(self, record: Callable[[], SqlRecord]) -> None:
        self._record = record
        self._last: Origin | None = None

    def __call__(self) -> Origin:
        """Return the origin. Raises StoreBusyError if the record is unavailable and was never read before."""
        try:
            self._last = self._record().origin()
        except StoreBusyError:
            if self._last is None:
                raise
        return self._last


class Publishing:
    """Access to the copy of one home's record in InfluxDB; without BOT3_INFLUX_URL there is no copy, and only the record is read."""

    def __init__(
        self,
        settings: Settings,
        *,
        record: Callable[[], SqlRecord],
        bots: Sequence[str],
        now: Callable[[], datetime],
        wall_now: Callable[[], datetime],
    ) -> None:
        self._settings, self._record, self._own, self._now, self._wall_now = settings, record, tuple(bots), now, wall_now
        self._closers = ExitStack()
        self._is_prepared = False

    @property
    def is_configured(self) -> bool:
        """Return whether the settings name an InfluxDB server."""
        return bool(self._settings.influx_url)

    def close(self) -> None:
        """Close all open connections."""
        self._closers.close()

    def learning_reader(self) -> LearningReader:
        """Return the daemon's reader of published learning: the record, or the copy if BOT3_PARAMETERS_FROM selects it.

        A thread polls the copy, so that no caller waits for the server, except up to BOT3_INFLUX_READ_TIMEOUT_S for the first values.
        """
        if self._settings.parameters_from == "record":
            return self._record()
        from bot3.adapters.cached_learning import FollowedLearning  # noqa: PLC0415  # only homes that publish to InfluxDB need it
        from bot3.adapters.influx.learning import InfluxLearning  # noqa: PLC0415  # only homes that publish to InfluxDB need it

        settings = self._settings
        server = self._server(settings.influx_read_timeout_s, retries=0)
        reader = InfluxLearning(server, bucket=settings.influx_bucket, origin=LastOrigin(self._record), remembers=True)
        followed = FollowedLearning(
            reader, now=self._now, poll_s=settings.influx_poll_s, first_wait_s=settings.influx_read_timeout_s
        ).start()
        self._closers.callback(followed.close)
        return followed

    @cached_property
    def copy(self) -> PublishedCopy:
        """Return the reader of the copy. Raises SettingsError if BOT3_INFLUX_URL is empty."""
        from bot3.adapters.influx.published_copy import InfluxCopy  # noqa: PLC0415  # only homes that publish to InfluxDB need it

        server = self._server(self._settings.influx_timeout_s, retries=0)
        return InfluxCopy(server, buckets=buckets_of(self._settings), origin=lambda: self._record().origin(), wall_now=self._wall_now)

    def bots(self) -> tuple[str, ...]:
        """Return the bots whose trades are published: the platform's own, and all others with trades in the record, deleted ones too."""
        from bot3.usecases.publishing.publish import published_bots  # noqa: PLC0415  # only homes that publish to InfluxDB need it

        return published_bots(self._record().trades.counts(), own=self._own)

    def health(self) -> tuple[str, ...]:
        """Return the problems of the buckets (missing, other retention, wrong field types) as texts; empty if there are none.

        Raises as `check`.
        """
        return self.copy.health(bots=self.bots())

    def require_write_access(self) -> None:
        """Raise StoreError if this platform has no right to write to every bucket. Otherwise raises as `check`."""
        self.copy.require_write_access(bots=self.bots())

    def heads_gap(self) -> HeadsGap:
        """Count the publications that only the record or only the copy contains. Raises as `check`."""
        from bot3.usecases.publishing.check import gap_of_heads  # noqa: PLC0415  # only homes that publish to InfluxDB need it

        return gap_of_heads(self._record(), self.copy)

    def publish(self, *, tell: Tell = lambda _: None) -> PublishReport | None:
        """Publish pending writes to InfluxDB; return None if BOT3_INFLUX_URL is empty.

        The callback `tell` receives the report before the writes are removed from the outbox, so it gets every report at least once.

        Raises
        ------
        StoreBusyError
            If the server cannot be reached before the timeout, or another process is publishing: the writes stay pending.
        """
        if not self.is_configured:
            self._record().outbox.fold()
            return None
        from bot3.usecases.publishing.publish import nothing_published, publish_learning  # noqa: PLC0415  # only homes that publish to InfluxDB need it

        if self._record().outbox.span() is None and self._is_prepared:
            return nothing_published(None)
        with self._turn():
            return publish_learning(self._record().outbox, self.publisher, tell=tell)

    def publish_everything(self) -> PublishReport:
        """Delete published learning, dead letters and the trades of `bots()` from the copy, and publish the whole record.

        Raises as `publish`, and SettingsError if BOT3_INFLUX_URL is empty.
        """
        from bot3.usecases.publishing.publish import publish_everything  # noqa: PLC0415  # only homes that publish to InfluxDB need it

        with self._turn():
            return publish_everything(self._record().outbox, self.publisher, bots=self.bots())

    def replay_dead_letters(self) -> ReplayReport:
        """Write the dead letters (points that could not be written) again, then all writes to the record since the oldest of them.

        Raises as `publish_everything`.
        """
        from bot3.usecases.publishing.publish import replay_dead_letters  # noqa: PLC0415  # only homes that publish to InfluxDB need it

        with self._turn():
            return replay_dead_letters(self._record().outbox, self.publisher)

    def check(self, *, now: datetime) -> PublishedCheck:
        """Compare the copy with the record: publications, trades, and the newest values published by the market time `now`.

        Raises StoreBusyError if either cannot be queried, SettingsError if BOT3_INFLUX_URL is empty.
        """
        from bot3.usecases.publishing.check import check_published  # noqa: PLC0415  # only homes that publish to InfluxDB need it

        try:
            return check_published(self._record(), self.copy, bots=self._own, now=now)
        finally:
            # By the next comparison, a minute later, an idle connection may be half-open: that would cost a whole timeout.
            self.copy.close()

    def connections(self) -> int:
        """Return a number that changes once the copy's server has restarted, or a connection was lost. Raises as `check`."""
        return self.publisher.connections()

    def recorded(self) -> Recorded:
        """Return the record's publications and trades, which the copy must contain once all pending writes are published.

        Raises as `check`.
        """
        from bot3.usecases.publishing.check import recorded  # noqa: PLC0415  # only homes that publish to InfluxDB need it

        return recorded(self._record())

    def find_losses(self, before: Recorded) -> PublishedCheck:
        """Return what the copy lacks of the contents that the record had `before` all pending writes were published. Raises as `check`."""
        from bot3.usecases.publishing.check import find_losses  # noqa: PLC0415  # only homes that publish to InfluxDB need it

        return find_losses(self._record(), self.copy, before=before, bots=self._own)

    def drop_connections(self) -> None:
        """Close the connections to the InfluxDB server; the next request opens new ones.

        After a failure of any server they may be half-open, and a request on each would wait for the whole timeout.
        """
        if self.is_configured:
            self.publisher.close()
            self.copy.close()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Lock publishing against other processes, so that none writes an older state of the record over a newer one.

        Raises StoreBusyError if another process is publishing.
        """
        from filelock import FileLock, Timeout  # noqa: PLC0415  # only homes that publish to InfluxDB need it

        folder = self._settings.home / _FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(folder / "publishing.lock", timeout=_LOCK_WAIT_S, is_singleton=False), noted(self._last_error):
                if not self._is_prepared:
                    self.publisher.prepare(bots=self.bots())
                    self._is_prepared = True
                yield
        except Timeout as error:
            raise StoreBusyError("another process is publishing: wait, then retry") from error

    @property
    def _last_error(self) -> Path:
        return self._settings.home / _FOLDER / _LAST_ERROR

    def last_error(self) -> str:
        """Return why the last attempt to publish failed; "" if it succeeded or there was none.

        Raises StoreError if the file with the error cannot be read.
        """
        try:
            return self._last_error.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(f"{self._last_error} cannot be read ({type(error).__name__}): remove it") from error

    @cached_property
    def publisher(self) -> Publisher:
        """Return the writer of the copy. Raises SettingsError if BOT3_INFLUX_URL is empty."""
        from bot3.adapters.influx.dead_letters import DeadLetters  # noqa: PLC0415  # only homes that publish to InfluxDB need it
        from bot3.adapters.influx.publisher import InfluxPublisher  # noqa: PLC0415  # only homes that publish to InfluxDB need it

        letters = DeadLetters(self._settings.home / _FOLDER / _LETTERS)
        server = self._server(self._settings.influx_timeout_s, retries=2)
        return InfluxPublisher(server, buckets=buckets_of(self._settings), letters=letters, wall_now=self._wall_now)

    def _server(self, timeout_s: float, *, retries: int) -> InfluxServer:
        from bot3.adapters.influx.server import InfluxAddress, InfluxServer  # noqa: PLC0415  # only homes that publish to InfluxDB need it

        settings = self._settings
        if not settings.influx_url:
            raise SettingsError("BOT3_INFLUX_URL is empty: set the URL of an InfluxDB 2 server to publish to")
        address = InfluxAddress(
            url=settings.influx_url,
            org=settings.influx_org,
            token=settings.influx_token.get_secret_value(),
            timeout=timedelta(seconds=timeout_s),
        )
        server = InfluxServer(address, retries=retries)
        self._closers.callback(server.close)
        return server
