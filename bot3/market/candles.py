"""The law of candle frames, and the gate that holds it.

A **candle frame** is a pandas frame of one pair and one timeframe with a RangeIndex and the columns

========== ==================== =========================================================
open_time  datetime64[us, UTC]  first instant of the candle; strictly increasing, aligned
open       float64              above 0, finite; quote per base
high       float64              >= max(open, close)
low        float64              <= min(open, close)
close      float64
volume     float64              >= 0, base currency; 0 is a real candle, not a gap
========== ==================== =========================================================

A candle exists once it has closed: a candle frame never holds one that is still in progress. Gaps stay gaps: nothing is
invented to fill them. A **funding frame** has the columns `time` (datetime64[us, UTC], strictly increasing) and `funding_rate`
(float64; above 0: longs pay shorts, as a ratio of the position's value).
"""

from __future__ import annotations

CANDLE_COLUMNS = ("open_time", "open", "high", "low", "close", "volume")
FUNDING_COLUMNS = ("time", "funding_rate")
