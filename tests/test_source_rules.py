"""The rules of the source code: each finds its violations, and the repository has none."""

from __future__ import annotations

import pytest

from tests.source_rules import ROOT, nondeterministic_reads, unexplained_imports, violations


def test_source_given_the_whole_repository_then_violates_no_rule() -> None:
    assert [str(violation) for violation in violations(ROOT)] == []


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import datetime\ndatetime.datetime.now()", "datetime.datetime.now"),
        ("from datetime import datetime as at\nat.now(tz=None)", "datetime.datetime.now"),
        ("from datetime import date\ndate.today()", "datetime.date.today"),
        ("from time import time\ntime()", "time.time"),
        ("import time as clock\nnow = clock.time", "time.time"),
        ("import random\nrandom.random()", "random.random"),
        ("from random import choice\nchoice([1])", "random.choice"),
        ("import numpy as np\nnp.random.default_rng(1)", "numpy.random.default_rng"),
        ("import uuid\nstr(uuid.uuid4())", "uuid.uuid4"),
        ("import pandas as pd\npd.Timestamp.now()", "pandas.Timestamp.now"),
        ("import pandas as pd\npd.Timestamp('now')", "pandas.Timestamp"),
        ("import numpy as np\nnp.datetime64('today')", "numpy.datetime64"),
        ("import time\ntime.localtime()", "time.localtime"),
        ("from secrets import SystemRandom\nSystemRandom()", "secrets.SystemRandom"),
        ("import time\ntime.time()\ndef f():\n    from a import time", "time.time"),
        ("def f():\n    import secrets\n    return secrets.token_hex()", "secrets.token_hex"),
    ],
)
def test_reads_given_a_read_of_time_or_random_numbers_then_names_it(source: str, name: str) -> None:
    assert [found for _, found in nondeterministic_reads(source)] == [name]


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.monotonic()",
        "import pandas as pd\npd.Timestamp('2026-01-01')",
        "from datetime import datetime\ndatetime.fromisoformat('2026-01-01')",
        "def f(clock):\n    return clock.now()",
        "import uuid\nuuid.uuid5(uuid.NAMESPACE_URL, 'a')",
        "time = 3\ntime.time",
    ],
)
def test_reads_given_deterministic_code_then_names_nothing(source: str) -> None:
    assert list(nondeterministic_reads(source)) == []


@pytest.mark.parametrize(
    ("line", "is_explained"),
    [
        ("import pandas", False),
        ("import pandas  # noqa: PLC0415", False),
        ("import pandas  # noqa: PLC0415  #", False),
        ("import pandas  # noqa: PLC0415  # loads for half a second", True),
        ("import pandas  # noqa: F401, PLC0415  # loads for half a second", True),
    ],
)
def test_imports_given_one_inside_a_function_then_it_needs_a_reason(line: str, is_explained: bool) -> None:
    source = f"import os\n\ndef f():\n    {line}\n"

    assert list(unexplained_imports(source)) == ([] if is_explained else [4])
