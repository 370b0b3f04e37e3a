"""What a server says, as our errors: what is asked again, what is refused for good, and what a query half done looks like."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot3.adapters.influx.server import InfluxAddress, InfluxServer, RefusedLinesError
from bot3.errors import StoreBusyError, StoreError, StoreFullError
from tests.servers.status_server import StatusServer


def server_on(fake: StatusServer, *, retries: int = 2) -> InfluxServer:
    return InfluxServer(InfluxAddress(url=fake.url, org="o", token="canary-7", timeout=timedelta(seconds=10)), retries=retries)


def test_write_given_a_busy_server_then_asks_again_until_it_takes_it() -> None:
    with StatusServer([503, 429]) as fake:
        server_on(fake).write("b", ["m x=1 1"])

        assert fake.bodies == [b"m x=1 1"] * 3


def test_write_given_a_server_that_stays_busy_then_says_so() -> None:
    with StatusServer([503] * 9) as fake:
        with pytest.raises(StoreBusyError, match=r"InfluxDB at 127\.0\.0\.1:\d+ is busy \(503\)"):
            server_on(fake).write("b", ["m x=1 1"])

        assert len(fake.bodies) == 3


@pytest.mark.parametrize("path", ["/x", f"/{'long/' * 80}x"])
def test_write_given_a_server_whose_disk_is_full_then_says_to_free_some_and_to_restart_it(path: str) -> None:
    body = f'{{"code":"internal error","message":"opening shard previously failed with: write {path}: no space left on device"}}'.encode()
    with StatusServer([500] * 9, body=body) as fake, pytest.raises(StoreFullError, match=r"disk was full.*restart InfluxDB.*opening shard"):
        server_on(fake).write("b", ["m x=1 1"])


@pytest.mark.parametrize(("host", "is_packed"), [("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True)])  # reached as itself
def test_write_given_a_server_on_this_machine_then_is_not_packed_and_elsewhere_is(host: str, is_packed: bool) -> None:
    with StatusServer() as fake:
        address = InfluxAddress(url=fake.url.replace("127.0.0.1", host), org="o", token="t", timeout=timedelta(seconds=10))
        InfluxServer(address).write("b", ["m x=1 1"])

        assert (fake.bodies, fake.packed) == ([b"m x=1 1"], [is_packed])


@pytest.mark.parametrize("status", [400, 413, 422])
def test_write_given_a_refusal_then_is_not_asked_again(status: int) -> None:
    with StatusServer([status]) as fake:
        with pytest.raises(RefusedLinesError, match=rf"rejected the request \({status}\): .*said by the server"):
            server_on(fake).write("b", ["m x=1 1"])

        assert len(fake.bodies) == 1


@pytest.mark.parametrize(("status", "remedy"), [(401, "BOT3_INFLUX_TOKEN"), (403, "BOT3_INFLUX_TOKEN"), (404, "bot3 publish run")])
def test_write_given_a_wrong_setting_then_names_it_and_no_secret(status: int, remedy: str) -> None:
    with StatusServer([status]) as fake, pytest.raises(StoreError, match=remedy) as refused:
        server_on(fake).write("b", ["m x=1 1"])

    assert not isinstance(refused.value, RefusedLinesError | StoreBusyError)
    assert "canary-7" not in str(refused.value)


def test_write_given_more_lines_than_a_batch_then_sends_them_all_in_their_order() -> None:
    lines = [f"m x={number} {number}" for number in range(12_000)]

    with StatusServer() as fake:
        server_on(fake).write("b", lines)

        assert len(fake.bodies) == 3
        assert b"\n".join(fake.bodies).decode().split("\n") == lines


def test_rows_given_an_error_after_the_answer_began_then_is_an_error_and_no_short_result() -> None:
    half = b",result,table,_value\r\n,_result,0,1\r\n\r\nerror,reference\r\nran out of memory,897\r\n"

    with StatusServer([200], body=half) as fake, pytest.raises(StoreError, match="could not finish a query: ran out of memory"):
        list(server_on(fake).rows("buckets()"))


def test_rows_given_tables_of_several_kinds_then_reads_each_by_its_own_columns() -> None:
    tables = b',result,table,_value,a\r\n,_result,0,1,x\r\n\r\n,result,table,b,_value\r\n,_result,1,y,"2\n3"\r\n'

    with StatusServer([200], body=tables) as fake:
        rows = [{name: row[name] for name in sorted(set(row) - {"", "result", "table"})} for row in server_on(fake).rows("buckets()")]

    assert rows == [{"_value": "1", "a": "x"}, {"_value": "2\n3", "b": "y"}]
