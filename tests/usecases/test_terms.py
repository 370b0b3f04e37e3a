from __future__ import annotations

import pytest

from bot3.cli.commands import command_app
from bot3.usecases.terms import HEADINGS, TERMS, definition, definitions
from telegram_bot.commands import terms_page
from telegram_bot.page import rendered


@pytest.mark.parametrize("name", TERMS)
def test_term_given_any_then_has_one_sentence(name: str) -> None:
    sentence = TERMS[name]

    assert name == name.casefold()
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert sentence.count(". ") == 0
    assert "|" not in sentence


def test_headings_given_all_then_show_terms_and_are_none_themselves() -> None:
    assert [heading for heading, name in HEADINGS.items() if name not in TERMS or heading in TERMS] == []


@pytest.mark.parametrize(
    ("heading", "name"),
    [("Win rate", "win rate"), ("P(expectancy > 0)", "confidence"), ("Profit factor, USDT", "profit factor"), ("pair", None)],
)
def test_definition_given_a_heading_then_is_that_of_its_term(heading: str, name: str | None) -> None:
    assert definition(heading) == (None if name is None else TERMS[name])


def test_definitions_given_a_name_that_is_no_term_then_refuses() -> None:
    with pytest.raises(KeyError):
        definitions("probe", "alpha")


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("params", "own share"),
        ("feeders", "tier"),
        ("regime", "market time"),
        ("trades", "feeder"),
        ("skipped", "hold"),
        ("status", "latch"),
        ("doctor", "dead letter"),
    ],
)
def test_help_of_a_command_given_its_terms_then_quotes_their_definitions(command: str, name: str) -> None:
    registered = command_app([command]).registered_commands
    epilogs = {one.callback.__name__: one.epilog for one in registered if one.callback}

    assert definitions(name) in str(epilogs[command])


def test_terms_page_given_a_name_then_answers_with_its_definition_and_else_with_all_names() -> None:
    assert TERMS["effective n"] in rendered(terms_page(["Effective", "n"]))
    for words in ([], ["alpha"]):
        text = rendered(terms_page(words))
        assert [name for name in TERMS if name not in text] == []
        assert "does not fit" not in text
