from __future__ import annotations

from benchmarks.glossary import PAGE, page


def test_glossary_given_the_terms_of_the_code_then_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "docs/glossary.md differs from the code: run `make docs`"
