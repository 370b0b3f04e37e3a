"""Formats of number columns in tables: values are scaled here and formatted in the browser, so that they sort as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from bot3.trading.currencies import currency_digits
from bot3.trading.figures import by_currency
from bot3.usecases.formatting import currency_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Format of a number column: values are multiplied by `scale`, rounded to `digits` decimals and shown with the printf format `text`."""

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
    """Return a frame whose columns in `cells` are float64, scaled and rounded; None and NaN become NaN."""
    # Adding 0.0 removes the sign of values rounded to zero: "-0.00 %" would read as a loss.
    columns = {name: (frame[name].astype("float64") * one.scale).round(one.digits) + 0.0 for name, one in cells.items()}
    return frame.assign(**columns)


def money_columns(closes: pd.DataFrame) -> tuple[dict[str, pd.Series[float]], dict[str, Cells]]:
    """Return the profits of trades (columns pair, close_profit_abs) as one column per stake currency, and the format of each column.

    A trade has a number only in the column of its own currency, else NaN: in one column for all currencies, amounts that cannot be compared
    would be sorted together.
    """
    columns: dict[str, pd.Series[float]] = {}
    cells: dict[str, Cells] = {}
    for currency, own in by_currency(closes).items():
        name, digits = f"profit, {currency_name(currency)}", currency_digits(currency)
        columns[name] = own["close_profit_abs"].reindex(closes.index)
        cells[name] = Cells(text=f"%+.{digits}f", digits=digits)
    return columns, cells
