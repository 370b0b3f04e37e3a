"""A step is tried again where a store was busy, and only there."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from bot3.adapters.sql.engine import sqlite_url
from bot3.errors import Bot3Error, DataError, LearningError, StoreBusyError, StoreConflictError, StoreError
from bot3_assets.assets.recommendations import recommendations
from bot3_assets.resources import PlatformResource
from bot3_assets.retries import TIMES, WAIT_S, tried_again


@pytest.mark.parametrize("error", [StoreBusyError("away"), StoreConflictError("another was first")], ids=lambda e: type(e).__name__)
def test_step_given_a_busy_store_then_is_tried_again_a_few_times(error: Bot3Error) -> None:
    with pytest.raises(dg.RetryRequested) as asked, tried_again():
        raise error

    assert (asked.value.max_retries, asked.value.seconds_to_wait) == (TIMES, WAIT_S)
    assert asked.value.__cause__ is error


@pytest.mark.parametrize(
    "error", [StoreError("damaged"), LearningError("refused"), DataError("lacks a column")], ids=lambda e: type(e).__name__
)
def test_step_given_what_would_be_the_same_again_then_fails_at_once(error: Bot3Error) -> None:
    with pytest.raises(type(error)), tried_again():
        raise error


def test_run_given_a_store_that_comes_back_then_succeeds(instance: dg.DagsterInstance) -> None:
    tries = []

    @dg.asset
    @tried_again(wait_s=0.0)
    def flaky() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise StoreBusyError("the server starts")

    assert dg.materialize([flaky], instance=instance).success
    assert len(tries) == 3


@pytest.mark.slow
def test_asset_given_its_record_is_locked_then_asks_for_another_try(resource: PlatformResource) -> None:
    resource.platform().record.revision()
    other = sa.create_engine(sqlite_url(Path(resource.home) / "platform.sqlite"))
    with other.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(dg.RetryRequested):
            recommendations(resource)
    other.dispose()
