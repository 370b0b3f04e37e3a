"""How columns of numbers look: scaled here, formatted in the browser, so that they sort as numbers and a page stays quick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd


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
MONEY = Cells(text="%+.2f USDT", digits=2)
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
