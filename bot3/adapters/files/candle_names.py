"""Build and parse the names of candle files in freqtrade's layout."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

CANDLES, FUNDING, OTHER = "candles", "funding_rate", "other"
SUFFIXES = (".feather", ".parquet", ".json", ".json.gz", ".csv", ".csv.gz")

_SPOT, _FUTURES, _UNSAID = "spot", "futures", ""
_KINDS = {
    None: (_UNSAID, CANDLES),
    "spot": (_SPOT, CANDLES),
    "futures": (_FUTURES, CANDLES),
    "funding_rate": (_FUTURES, FUNDING),
    "mark": (_FUTURES, OTHER),
    "index": (_FUTURES, OTHER),
    "premiumIndex": (_FUTURES, OTHER),
}
"""Market and kind of the rows by the last word of a file's name; a name without such a word may belong to either market."""
_NAME = re.compile(r"(?P<pair>.+)-(?P<timeframe>[0-9]+[A-Za-z]{1,2})(?:-(?P<kind>[A-Za-z_]+))?", re.DOTALL)
_TIMEFRAME = re.compile(r"[1-9][0-9]*[mhd]")
_REPLACED = re.compile(r"[/ .@$+:\\\x00-\x1f\x7f]")
"""Characters that freqtrade replaces by "_" in a name, and those that no file system accepts."""
_HDF5 = (
    "HDF5 is not supported: convert it with `freqtrade convert-data --format-from hdf5 --format-to feather` of a release that supports it, "
    "or download the candles again"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleFile:
    """A candle file and the content that its name states.

    Parameters
    ----------
    pair : str
        The most likely pair, in ccxt's form. File names contain "_" in place of other characters, so `holds` compares names, not pairs.
    market : str
        "spot", "futures", or an empty string if the name does not state it.
    kind : str
        candles, funding_rate or other (mark, index, premium index).
    """

    path: Path
    pair: str
    name: str
    market: str
    timeframe: str
    kind: str

    def holds(self, pair: str) -> bool:
        """Return whether the rows belong to a pair: spot candles never belong to a future."""
        return self.name == name_of_pair(pair) and self.market in {_UNSAID, market_of_pair(pair)}


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoredFile:
    """A file of a candle directory that is not read, and the reason."""

    path: Path
    reason: str


def name_of_pair(pair: str) -> str:
    """Return a pair in the form that freqtrade uses in file names, "BTC_USDT_USDT"."""
    return _REPLACED.sub("_", pair)


def market_of_pair(pair: str) -> str:
    """Return "futures" for a pair with a settle currency, otherwise "spot"."""
    return _FUTURES if ":" in pair else _SPOT


def candle_path(directory: Path, *, pair: str, timeframe: str, is_funding: bool = False) -> Path:
    """Return the path of a pair's candles below a data directory, in freqtrade's layout.

    With `is_funding` it is that of the funding rates; a spot pair has none, and the path of its candles is returned.
    """
    name = name_of_pair(pair)
    if market_of_pair(pair) == _SPOT:
        return directory / f"{name}-{timeframe}.feather"
    return directory / _FUTURES / f"{name}-{timeframe}-{FUNDING if is_funding else _FUTURES}.feather"


def candle_file(path: Path) -> CandleFile | IgnoredFile:
    """Parse a file's name, such as "BTC_USDT_USDT-5m-futures.feather"; return an `IgnoredFile` with the reason if the file is not read."""
    suffix = next((suffix for suffix in SUFFIXES if path.name.endswith(suffix)), None)
    if suffix is None:
        reason = _HDF5 if path.suffix in {".h5", ".hdf5"} else f"its name does not end in {', '.join(SUFFIXES)}"
        return IgnoredFile(path=path, reason=reason)
    match = _NAME.fullmatch(path.name.removesuffix(suffix))
    if match is None or match["kind"] not in _KINDS:
        return IgnoredFile(path=path, reason="it is not named PAIR-TIMEFRAME or PAIR-TIMEFRAME-KIND, such as BTC_USDT_USDT-5m-futures")
    if not _TIMEFRAME.fullmatch(match["timeframe"]):
        return IgnoredFile(path=path, reason=f"its timeframe {match['timeframe']} is not supported: only minutes, hours and days are")
    market, kind = _KINDS[match["kind"]]
    pair = _pair_of_name(match["pair"], market=market)
    if pair is None:
        reason = f"the pair in its name lacks a part: a future is named BASE_QUOTE_SETTLE-{match['timeframe']}-{match['kind'] or 'futures'}"
        return IgnoredFile(path=path, reason=reason)
    return CandleFile(path=path, pair=pair, name=match["pair"], market=market, timeframe=match["timeframe"], kind=kind)


def _pair_of_name(name: str, *, market: str) -> str | None:
    """Return the most likely pair of a name; None if the name has too few parts."""
    parts = name.split("_")
    is_future = market == _FUTURES or (market == _UNSAID and _has_settle(parts))
    tail = 2 if is_future else 1
    base = "_".join(parts[:-tail])
    if len(parts) <= tail or not base or not all(parts[-tail:]):
        return None
    return f"{base}/{parts[-2]}:{parts[-1]}" if is_future else f"{base}/{parts[-1]}"


def _has_settle(parts: list[str]) -> bool:
    """Return whether the last part of a name is taken as a settle currency.

    It is if there are exactly three parts, or if it equals one of the two before it: contracts settle in their quote or base currency.
    """
    settle = parts[-1].partition("-")[0]
    return len(parts) >= 3 and bool(parts[0]) and bool(parts[-2]) and (settle in {parts[-2], parts[-3]} or len(parts) == 3)
