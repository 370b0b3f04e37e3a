"""Read the record's outbox: writes that are not published elsewhere yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Connection

from bot3.adapters.sql.columns import columns_frame, read_columns
from bot3.adapters.sql.record.conditions import in_modes
from bot3.adapters.sql.record.feeder_scores import score_of_row
from bot3.adapters.sql.record.parameters import parameters_of
from bot3.adapters.sql.record.recommendations import recommendation_of_row
from bot3.adapters.sql.record.regimes import state_of_row
from bot3.adapters.sql.record.scope import RecordScope, origin_of
from bot3.adapters.sql.record.tables import (
    feeder_publications,
    feeder_scores,
    outbox,
    outbox_gone,
    parameter_publications,
    parameter_rows,
    recommendations,
    record_meta,
    regime_factors,
    regime_states,
    synced_trades,
)
from bot3.adapters.sql.rows import from_us, read_frame
from bot3.errors import InvalidLearningError
from bot3.learning.validity import refusing
from bot3.market.regimes import RegimeState
from bot3.ports.publisher import (
    Head,
    OutboxSpan,
    ParameterPublication,
    Pending,
    PublicationKind,
    RecommendationPublication,
    ScorePublication,
)
from bot3.trading.trades import RunMode

_TRADE = tuple(column for column in synced_trades.columns if column.name not in {"is_open", "known_at_us", "revision", "deleted"})
_GONE = tuple(column for column in outbox_gone.columns if column.name not in {"id", "revision"})

_Read = TypeVar("_Read")

log = structlog.get_logger()


class SqlOutbox:
    """An `Outbox` in the record. Database triggers create its entries, so that no writer can omit them."""

    def __init__(self, scope: RecordScope) -> None:
        self._scope = scope

    def span(self) -> OutboxSpan | None:
        """Return the span of all pending writes; None if nothing is pending."""
        query = sa.select(sa.func.min(outbox.c.since_revision), sa.func.max(outbox.c.revision), sa.func.count())
        with self._scope.read() as connection:
            since, until, writes = connection.execute(query).one()
        return OutboxSpan(since=since, until=until, writes=writes) if writes else None

    def waiting_since(self) -> datetime | None:
        """Return the time of the oldest pending write, by the database's clock; None if nothing is pending."""
        with self._scope.read() as connection:
            written_at_us = connection.execute(sa.select(sa.func.min(outbox.c.written_at_us))).scalar_one()
        return None if written_at_us is None else from_us(written_at_us)

    def pending(self, span: OutboxSpan, *, run_modes: Sequence[RunMode]) -> Pending:
        """Return what the record contains of a span of writes, as one snapshot, with only the trades of some run modes."""
        with self._scope.read() as connection:
            return Pending(
                span=span,
                origin=origin_of(connection),
                parameters=_parameters(connection, span),
                scores=_scores(connection, span),
                regimes=_regimes(connection, span),
                recommendations=_recommendations(connection, span),
                trades=_trades(connection, span, run_modes=run_modes),
                gone=read_frame(
                    connection,
                    sa.select(*_GONE)
                    .where(_within(outbox_gone, span), in_modes(outbox_gone.c.run_mode, run_modes))
                    .order_by(outbox_gone.c.id),
                ),
            )

    def confirm(self, span: OutboxSpan) -> None:
        """Delete the entries of a published span; later entries remain pending, and one that `requeue` made for earlier writes too."""
        with self._scope.write_unversioned() as connection:
            connection.execute(sa.delete(outbox).where(outbox.c.revision <= span.until, outbox.c.since_revision >= span.since))
            connection.execute(sa.delete(outbox_gone).where(outbox_gone.c.revision <= span.until))

    def requeue(self, *, since: int = 0) -> None:
        """Mark everything that the record wrote after a revision as pending again, except removals of trades that were confirmed."""
        with self._scope.write_unversioned() as connection:
            now = int(connection.execute(sa.select(record_meta.c.revision).with_for_update()).scalar_one())
            if now > since:
                _fold(connection, OutboxSpan(since=since, until=now, writes=1))

    def fold(self) -> None:
        """Merge all pending entries into one, and delete the pending removals of trades: for a record that has no copy.

        So the outbox does not grow if nothing is published.
        """
        span = self.span()
        if span is None:
            return
        with self._scope.write_unversioned() as connection:
            if span.writes > 1:
                _fold(connection, span)
            connection.execute(sa.delete(outbox_gone).where(outbox_gone.c.revision <= span.until))

    def heads(self) -> frozenset[Head]:
        """Return the head of every publication of the record."""
        with self._scope.read() as connection:
            origin = origin_of(connection)
            return frozenset(
                Head(origin=origin, noun=noun, known_at=from_us(row.known_at_us), seq=row.seq, version=row.version, rows=row.rows)
                for noun, query in _head_queries()
                for row in connection.execute(query)
            )


def _within(table: sa.Table, span: OutboxSpan) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.revision > span.since, table.c.revision <= span.until)


def _to_write(connection: Connection, span: OutboxSpan) -> sa.ColumnElement[bool]:
    """Return the condition that a trade changed within a span, or has the id of a trade that was removed within it.

    If an id was used again for a trade that closed at the same instant, both trades have the same point in the copy: deleting the point of
    the removed trade deletes that of the new one, which must then be written again.
    """
    went = sa.select(outbox_gone.c.bot, outbox_gone.c.run_mode, outbox_gone.c.trade_id).where(_within(outbox_gone, span))
    if connection.execute(went.limit(1)).first() is None:
        return _within(synced_trades, span)
    ids = sa.tuple_(synced_trades.c.bot, synced_trades.c.run_mode, synced_trades.c.trade_id)
    return sa.or_(_within(synced_trades, span), ids.in_(went))


def _fold(connection: Connection, span: OutboxSpan) -> None:
    oldest = sa.select(sa.func.min(outbox.c.since_revision), sa.func.min(outbox.c.written_at_us)).where(outbox.c.revision <= span.until)
    since, written_at_us = connection.execute(oldest).one()
    connection.execute(sa.delete(outbox).where(outbox.c.revision <= span.until))
    entry = {
        "revision": span.until,
        "since_revision": span.since if since is None else min(since, span.since),
        "written_at_us": _now_us(connection) if written_at_us is None else written_at_us,
    }
    connection.execute(sa.insert(outbox).values(**entry))


def _now_us(connection: Connection) -> sa.ColumnElement[int]:
    """Return the database's time, computed as in the outbox triggers."""
    is_sqlite = connection.dialect.name == "sqlite"
    now = "(julianday('now') - 2440587.5) * 86400000000.0" if is_sqlite else "extract(epoch FROM clock_timestamp()) * 1000000"
    return sa.cast(sa.literal_column(now), sa.BigInteger)


def _trades(connection: Connection, span: OutboxSpan, *, run_modes: Sequence[RunMode]) -> pd.DataFrame:
    query = sa.select(*_TRADE).where(_to_write(connection, span), ~synced_trades.c.deleted, in_modes(synced_trades.c.run_mode, run_modes))
    read = read_columns(connection, query)
    order = np.lexsort((read["trade_id"], read["close_date_us"]))
    return columns_frame(read if np.array_equal(order, np.arange(len(order))) else {name: column[order] for name, column in read.items()})


def _readable(noun: PublicationKind, publications: Iterable[Any], read: Callable[[Any], _Read]) -> tuple[_Read, ...]:
    """Return the parsed publications; an invalid one is logged and left out, so that it does not block the others."""
    found = []
    for publication in publications:
        try:
            found.append(refusing(read)(publication))
        except InvalidLearningError as error:
            what = {"noun": noun.value, "version": publication.version}
            log.error("publication_refused", **what, error=str(error))  # noqa: TRY400  # the message is sufficient
    return tuple(found)


def _parameters(connection: Connection, span: OutboxSpan) -> tuple[ParameterPublication, ...]:
    table = parameter_publications.c
    query = sa.select(parameter_publications).where(_within(parameter_publications, span)).order_by(table.known_at_us, table.seq)
    return _readable(PublicationKind.PARAMETERS, connection.execute(query).all(), partial(_publication, connection))


def _publication(connection: Connection, publication: Any) -> ParameterPublication:
    rows = connection.execute(
        sa.select(parameter_rows)
        .where(parameter_rows.c.seq == publication.seq)
        .order_by(parameter_rows.c.pair, parameter_rows.c.direction, parameter_rows.c.leverage_bin)
    )
    factors = connection.execute(sa.select(regime_factors).where(regime_factors.c.seq == publication.seq).order_by(regime_factors.c.regime))
    parameters = parameters_of(publication, rows=rows.all(), factors=factors.all())
    full_at_us, full_seq = _full_before(connection, publication)
    return ParameterPublication(
        seq=publication.seq, is_full=publication.is_full, parameters=parameters, full_known_at=from_us(full_at_us), full_seq=full_seq
    )


def _full_before(connection: Connection, publication: Any) -> tuple[int, int]:
    """Return known_at and number of the newest full publication up to a given one; of the first publication if none was full."""
    table = parameter_publications.c
    place = (table.known_at_us, table.seq)
    earlier = sa.tuple_(*place) <= sa.tuple_(publication.known_at_us, publication.seq)
    newest_full = sa.select(*place).where(earlier, table.is_full).order_by(table.known_at_us.desc(), table.seq.desc()).limit(1)
    first = sa.select(*place).where(earlier).order_by(*place).limit(1)
    found = connection.execute(newest_full).one_or_none() or connection.execute(first).one()
    return found[0], found[1]


def _scores(connection: Connection, span: OutboxSpan) -> tuple[ScorePublication, ...]:
    table = feeder_publications.c
    query = sa.select(feeder_publications).where(_within(feeder_publications, span)).order_by(table.known_at_us, table.seq)
    return _readable(PublicationKind.FEEDER_SCORES, connection.execute(query).all(), partial(_scored, connection))


def _scored(connection: Connection, publication: Any) -> ScorePublication:
    rows = connection.execute(
        sa.select(feeder_scores)
        .where(feeder_scores.c.seq == publication.seq)
        .order_by(feeder_scores.c.regime, feeder_scores.c.rank, feeder_scores.c.feeder_id)
    )
    scores = tuple(map(score_of_row, rows))
    if not scores:
        raise InvalidLearningError(f"feeder scores {publication.version!r} have no rows: publish again with `bot3 learn run`")
    return ScorePublication(seq=publication.seq, known_at=from_us(publication.known_at_us), scores=scores)


def _regimes(connection: Connection, span: OutboxSpan) -> tuple[RegimeState, ...]:
    query = sa.select(regime_states).where(_within(regime_states, span)).order_by(regime_states.c.known_at_us)
    return _readable(PublicationKind.REGIME, connection.execute(query).all(), state_of_row)


def _recommendations(connection: Connection, span: OutboxSpan) -> tuple[RecommendationPublication, ...]:
    table = recommendations.c
    query = sa.select(recommendations).where(_within(recommendations, span)).order_by(table.known_at_us, table.seq)

    def made(row: Any) -> RecommendationPublication:
        return RecommendationPublication(seq=row.seq, recommendation=recommendation_of_row(row))

    return _readable(PublicationKind.RECOMMENDATION, connection.execute(query).all(), made)


def _head_queries() -> tuple[tuple[PublicationKind, sa.Select[Any]], ...]:
    one = sa.literal(1).label("rows")
    return (
        (PublicationKind.PARAMETERS, _counted(parameter_publications, parameter_rows)),
        (PublicationKind.FEEDER_SCORES, _counted(feeder_publications, feeder_scores)),
        (PublicationKind.REGIME, sa.select(regime_states.c.known_at_us, sa.literal(0).label("seq"), regime_states.c.version, one)),
        (PublicationKind.RECOMMENDATION, sa.select(recommendations.c.known_at_us, recommendations.c.seq, recommendations.c.version, one)),
    )


def _counted(publications: sa.Table, rows: sa.Table) -> sa.Select[Any]:
    table = publications.c
    count = sa.select(sa.func.count()).where(rows.c.seq == table.seq).scalar_subquery().label("rows")
    return sa.select(table.known_at_us, table.seq, table.version, count)
