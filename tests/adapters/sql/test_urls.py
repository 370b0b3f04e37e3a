"""Addresses of databases: their secrets and their schemas."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from bot3.adapters.sql.urls import has_secret, merged_options, parsed_url, schema_of, server_url, shown_url
from bot3.errors import SettingsError


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://bot:canary-7@db/ft",
        "postgresql:///ft?host=127.0.0.1&user=postgres&password=canary-7",
        "postgresql+psycopg2://db/ft?sslkey=key.pem&sslpassword=canary-7",
        "mysql+pymysql://u@h/ft?passwd=canary-7",
    ],
)
def test_shown_url_given_a_password_anywhere_then_hides_it_alone(address: str) -> None:
    url = parsed_url(address)

    shown = shown_url(url)

    assert "canary-7" not in shown
    assert sorted(shown) == sorted(address.replace("canary-7", "***"))
    assert has_secret(url)


def test_shown_url_given_no_password_then_is_the_address() -> None:
    address = "postgresql://reader@db:5433/ft?options=-csearch_path%3Dbot1"

    assert shown_url(parsed_url(address)) == address
    assert not has_secret(parsed_url(address))


@pytest.mark.parametrize("address", ["postgresql//no", "://", "postgresql://u:canary-7@h:port/ft"])
def test_parsed_url_given_what_is_none_then_says_so_without_it(address: str) -> None:
    with pytest.raises(SettingsError, match="neither a file nor a valid URL") as raised:
        parsed_url(address)

    assert "canary-7" not in str(raised.value)


@pytest.mark.parametrize(
    ("query", "schema"),
    [
        ("", None),
        ("?options=-csearch_path%3Dbot1", "bot1"),
        ("?options=-c%20search_path%3Dbot1", "bot1"),
        ("?options=--search_path%3Dbot1,public%20-c%20statement_timeout%3D5s", "bot1"),
        ("?options=-csearch_path%3Da%20-csearch_path%3Dbot1", "bot1"),
        ("?options=-csearch_path%3D%22Bot1%22", "Bot1"),
        ("?options=-csearch_path%3DBot1", "bot1"),
        ("?options=-csearch_path%3D%22%24user%22,public", None),
        ("?currentSchema=bot1", "bot1"),
        ("?search_path=bot1", "bot1"),
        ("?schema=bot1&options=-cstatement_timeout%3D5s", "bot1"),
        ("?currentSchema=bot1&options=-csearch_path%3Dbot1", "bot1"),
    ],
)
def test_schema_of_given_the_ways_to_name_one_then_is_that_one(query: str, schema: str | None) -> None:
    url = server_url(parsed_url(f"postgresql+psycopg2://u@h/ft{query}"))

    assert schema_of(url) == schema
    assert set(url.query) <= {"options"}
    assert url.drivername == "postgresql+psycopg"


def test_server_url_given_two_schemas_then_refuses_both() -> None:
    with pytest.raises(SettingsError, match="names different schemas"):
        server_url(parsed_url("postgresql://u@h/ft?currentSchema=bot2&options=-csearch_path%3Dbot1"))


@given(schema=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_server_url_given_any_schema_of_a_person_then_that_one_is_named(schema: str) -> None:
    url = make_url(server_url(parsed_url("postgresql://u@h/ft"), schema=schema).render_as_string(hide_password=False))

    assert schema_of(url) == (None if schema == "$user" else schema)


def test_merged_options_given_both_then_ours_come_last_and_count() -> None:
    url = parsed_url("postgresql://u@h/ft?options=-csearch_path%3Dbot1")

    assert merged_options(url, "-c timezone=UTC") == "-csearch_path=bot1 -c timezone=UTC"
