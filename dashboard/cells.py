"""How columns of numbers look: scaled here, formatted in the browser, so that they sort as numbers and a page stays quick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from bot3.trading.currencies import currency_digits
from bot3.trading.figures import by_currency
from bot3.usecases.words import currency_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Numbers of a column: multiplied by `scale`, rounded to `digits`, shown by `text` (printf)."""

    text: str
    digits: int
    scale: float = 1.0


RATIO = Cells(text="%+.2f %%", digits=2, scale=100.0)
FINE_RATIO = Cells(text="%+.3f %%", digits=3, scale=100.0)
SHARE = Cells(text="%.0f %%", digits=0, scale=100.0)
FINE_SHARE = Cells(text="%.1f %%", digits=1, scale=100.0)
COUNT = Cells(text="%d", digits=0)
TENTH = Cells(text="%.1f", digits=1)
HUNDREDTH = Cells(text="%.2f", digits=2)
LOSS = Cells(text="%.4f", digits=4)
LEVERAGE = Cells(text="%.1fx", digits=1)
RATE = Cells(text="%.6g", digits=10)


def scaled(frame: pd.DataFrame, cells: Mapping[str, Cells]) -> pd.DataFrame:
    """Return a frame whose numbers are as they will be read; what is unknown stays unknown."""
    # Adding 0.0 takes the sign from what rounds to nothing: "-0.00 %" would read as a loss.
    columns = {name: (frame[name].astype("float64") * one.scale).round(one.digits) + 0.0 for name, one in cells.items()}
    return frame.assign(**columns)


def money_columns(closes: pd.DataFrame) -> tuple[dict[str, pd.Series[float]], dict[str, Cells]]:
    """Return the profit of trades (columns pair, close_profit_abs) as one column a currency, with the currency's own digits.

    A trade has a number in the column of its own currency only: a column of several currencies would sort and add what cannot be compared.
    """
    columns: dict[str, pd.Series[float]] = {}
    cells: dict[str, Cells] = {}
    for currency, own in by_currency(closes).items():
        name, digits = f"profit, {currency_name(currency)}", currency_digits(currency)
        columns[name] = own["close_profit_abs"].reindex(closes.index)
        cells[name] = Cells(text=f"%+.{digits}f", digits=digits)
    return columns, cells
