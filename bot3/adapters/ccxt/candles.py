"""Download candles and funding rates from an exchange into a data directory, from public endpoints and without API keys.

`bot3.adapters.files.candles` reads the files. Each file is replaced as a whole, so that no reader reads a partial file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import ccxt
import pandas as pd

from bot3.adapters.files.candle_format import exchange_of, read_frame, write_candles, write_funding
from bot3.adapters.files.candle_names import candle_path
from bot3.errors import CandleError, ExchangeBusyError
from bot3.market.candle_series import no_candles, no_funding
from bot3.market.candles import CANDLE_COLUMNS, checked_candles, checked_funding
from bot3.market.instants import EPOCH
from bot3.market.timeframes import timeframe_duration

PAGE = 1_000
PAGES_A_SAVE = 20
_MILLISECOND = timedelta(milliseconds=1)
_PRICES = ("open", "high", "low", "close")


class Progress(Protocol):
    """Callback that reports the progress of a download."""

    def __call__(self, *, pair: str, reached: datetime, until: datetime) -> None:
        """Receive the time up to which a pair's data was fetched, and the time at which its span ends."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """Result of a download: the file, the rows added by this call, and the rows in the file."""

    path: Path
    added: int
    rows: int


class CcxtCandles:
    """Downloads candles and funding rates into a data directory in freqtrade's layout.

    Only data before the first and after the last row on disk is requested (and, to identify the exchange of the rows, the last one).

    Parameters
    ----------
    directory : Path
        Data directory; futures go to its folder `futures`.
    exchange_id : str
        Ccxt's identifier of the exchange.
    base_url : str, optional
        Base URL that replaces the host of all the exchange's endpoints (a proxy, a test server).

    Raises
    ------
    CandleError
        If ccxt does not support the exchange.
    """

    def __init__(
        self, directory: Path, *, exchange_id: str = "binanceusdm", base_url: str | None = None, is_rate_limited: bool = True
    ) -> None:
        self._directory = directory
        self._exchange = _open_exchange(exchange_id, base_url=base_url, is_rate_limited=is_rate_limited)

    def pairs(self) -> tuple[str, ...]:
        """Return the exchange's active pairs, sorted.

        Raises
        ------
        ExchangeBusyError
            If the request failed and may be retried.
        CandleError
            If the exchange rejects the request.
        """
        with _translated(f"the markets of {self._exchange.id}"):
            markets = self._exchange.load_markets()
        return tuple(sorted(pair for pair, market in markets.items() if market.get("active")))

    def markets(self) -> dict[str, Any]:
        """Return the exchange's markets in ccxt's form; `bot3.adapters.files.markets` reads them from a JSON file. Raises as `pairs`."""
        with _translated(f"the markets of {self._exchange.id}"):
            markets: dict[str, Any] = self._exchange.load_markets()
        return markets

    def download_candles(self, pair: str, timeframe: str, *, since: datetime, now: datetime, progress: Progress | None = None) -> Download:
        """Fetch the closed candles from `since` to `now` before the first and after the last one on disk, and add them to the file.

        Gaps between candles on disk are not fetched again. After a failure the next call continues where this one ended.

        Raises
        ------
        ExchangeBusyError
            If the exchange limits requests, fails or cannot be reached; the candles fetched before are on disk.
        CandleError
            If the exchange has no such pair or timeframe, if its candles or those on disk are invalid, or if those on disk are of another
            exchange.
        """
        what = f"{pair} {timeframe} candles of {self._exchange.id}"
        path = candle_path(self._directory, pair=pair, timeframe=timeframe)
        until = min(now, self._exchange_time(what))
        held = _held_candles(path, pair=pair, timeframe=timeframe, now=until)
        before = len(held)
        duration = timeframe_duration(timeframe)
        fetch = self._candle_page(pair, timeframe, what=what)
        spans = _missing_spans(held["open_time"], since=since, until=until, step=duration)
        if spans:
            self._require_own(path, held, fetch, columns=_PRICES)
        for start, end in spans:
            for pages, reached in _pages(fetch, start=start, end=end, step=duration, what=what):
                fresh = pd.DataFrame(pages, columns=list(CANDLE_COLUMNS))
                if len(fresh):
                    held, _ = checked_candles(pd.concat([held, _in_time(fresh)]), pair=pair, timeframe=timeframe, now=until)
                    write_candles(self._directory, pair=pair, timeframe=timeframe, candles=held, exchange=self._exchange.id)
                if progress is not None:
                    progress(pair=pair, reached=min(reached, end), until=end)
        return Download(path=path, added=len(held) - before, rows=len(held))

    def download_funding(self, pair: str, *, since: datetime, now: datetime, progress: Progress | None = None) -> Download:
        """Fetch the funding rates from `since` to `now` before the first and after the last one on disk, and add them to the file.

        Raises
        ------
        CandleError
            If the exchange provides no history of funding rates, or as `download_candles`.
        ExchangeBusyError
            As `download_candles`.
        """
        what = f"{pair} funding of {self._exchange.id}"
        if not self._exchange.has.get("fetchFundingRateHistory"):
            raise CandleError(
                f"{self._exchange.id} provides no history of funding rates: continue without them, or import them from another source"
            )
        path = candle_path(self._directory, pair=pair, timeframe="8h", is_funding=True)
        held = _held_funding(path, pair=pair)
        before = len(held)
        fetch = self._funding_page(pair, what=what)
        spans = _missing_spans(held["time"], since=since, until=now, step=timedelta(seconds=1))
        if spans:
            self._require_own(path, held, fetch, columns=("funding_rate",))
        for start, end in spans:
            for pages, reached in _pages(fetch, start=start, end=end, step=timedelta(hours=1), what=what):
                fresh = pd.DataFrame(pages, columns=["time", "funding_rate"])
                if len(fresh):
                    held = checked_funding(pd.concat([held, _in_time(fresh)]), pair=pair)
                    write_funding(self._directory, pair=pair, funding=held, exchange=self._exchange.id)
                if progress is not None:
                    progress(pair=pair, reached=min(reached, end), until=end)
        return Download(path=path, added=len(held) - before, rows=len(held))

    def _require_own(self, path: Path, held: pd.DataFrame, fetch: Callable[[int], list[list[float]]], *, columns: tuple[str, ...]) -> None:
        """Raise CandleError instead of adding to rows of another exchange.

        If the file's metadata names no exchange, or another one (an exchange may have several names in ccxt), the last row on disk must
        equal the row that this exchange returns for its time.
        """
        if not len(held) or exchange_of(path) == self._exchange.id:
            return
        last = held.iloc[-1]
        at = last.iloc[0].to_pydatetime()
        answered = [
            row for row in fetch((at - EPOCH) // _MILLISECOND) if abs(EPOCH + int(row[0]) * _MILLISECOND - at) < timedelta(seconds=1)
        ]
        ours = [float(last[name]) for name in columns]
        theirs = answered[0][1 : 1 + len(columns)] if answered else None
        if theirs is None or any(abs(mine - other) > 1e-9 * abs(mine) for mine, other in zip(ours, theirs, strict=True)):
            raise CandleError(
                f"{path} contains rows of {exchange_of(path) or 'an unknown exchange'}: the last one ({at.isoformat()}) differs from "
                f"{self._exchange.id}'s; one file must not contain candles of two exchanges, choose another --directory"
            )

    def _exchange_time(self, what: str) -> datetime:
        """Return the exchange's time; `datetime.max` if its API reports no time.

        With the time of a local clock that is ahead, the candle in progress would count as closed.
        """
        if not self._exchange.has.get("fetchTime"):
            return datetime.max.replace(tzinfo=UTC)
        with _translated(what):
            milliseconds = self._exchange.fetch_time()
        if not isinstance(milliseconds, int):
            raise ExchangeBusyError(f"{self._exchange.id} returned no valid time: try again")
        return EPOCH + milliseconds * _MILLISECOND

    def _require_json(self, what: str) -> None:
        """Raise ExchangeBusyError for a truncated response or a web page: ccxt returns an empty list for it, like "no more candles"."""
        try:
            json.loads(self._exchange.last_http_response)
        except (TypeError, ValueError) as error:
            raise ExchangeBusyError(f"{what}: the response is truncated or not JSON: try again, the download resumes") from error

    def _candle_page(self, pair: str, timeframe: str, *, what: str) -> Callable[[int], list[list[float]]]:
        def fetch(since_ms: int) -> list[list[float]]:
            with _translated(what):
                rows = self._exchange.fetch_ohlcv(pair, timeframe, since=since_ms, limit=PAGE)
            self._require_json(what)
            if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == 6 and None not in row for row in rows):
                raise ExchangeBusyError(f"{what}: the response contains no candles (truncated?): try again")
            return rows

        return fetch

    def _funding_page(self, pair: str, *, what: str) -> Callable[[int], list[list[float]]]:
        def fetch(since_ms: int) -> list[list[float]]:
            with _translated(what):
                rows = self._exchange.fetch_funding_rate_history(pair, since=since_ms, limit=PAGE)
            self._require_json(what)
            pages: list[list[Any]] = [[row.get("timestamp"), row.get("fundingRate")] for row in rows if isinstance(row, dict)]
            if len(pages) != len(rows) or any(None in page for page in pages):
                raise ExchangeBusyError(f"{what}: the response contains no funding rates (truncated?): try again")
            return pages

        return fetch


def _open_exchange(exchange_id: str, *, base_url: str | None, is_rate_limited: bool) -> Any:
    if exchange_id not in ccxt.exchanges:
        raise CandleError(f"ccxt has no exchange {exchange_id!r}: choose one of its list, such as binanceusdm or bybit")
    # No maxRetriesOnFailure: the caller decides when to retry.
    exchange = getattr(ccxt, exchange_id)({"enableRateLimit": is_rate_limited, "timeout": 10_000})
    exchange.options["fetchCurrencies"] = False
    exchange.options["fetchMargins"] = False
    if base_url is not None:
        _reach_at(exchange, base_url.rstrip("/"))
    return exchange


def _reach_at(exchange: Any, base_url: str) -> None:
    known = {key: url for key, url in exchange.urls["api"].items() if isinstance(url, str)}
    for key, url in known.items():
        # Every URL must be replaced, otherwise some requests would still reach the exchange itself.
        exchange.urls["api"][key] = f"{base_url}/{url.split('//', 1)[1].partition('/')[2]}"


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Raise ExchangeBusyError in place of an error of ccxt that may be retried, CandleError in place of another one."""
    try:
        yield
    except ccxt.BadSymbol as error:
        raise CandleError(f"{what}: the exchange has no such pair: see `pairs`, names have the form BTC/USDT:USDT") from error
    except (ccxt.NetworkError, ccxt.OperationFailed) as error:
        raise ExchangeBusyError(
            f"{what}: {type(error).__name__}: the exchange is busy or cannot be reached: try again, the download resumes"
        ) from error
    except ccxt.BaseError as error:
        raise CandleError(f"{what}: the exchange rejected it ({type(error).__name__}: {error}): check pair and timeframe") from error
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        # Ccxt parses a truncated body as if it were complete.
        raise ExchangeBusyError(
            f"{what}: the response cannot be parsed ({type(error).__name__}): try again, the download resumes"
        ) from error


def _pages(
    fetch: Callable[[int], list[list[float]]], *, start: datetime, end: datetime, step: timedelta, what: str
) -> Iterator[tuple[list[list[float]], datetime]]:
    """Yield the rows of up to 20 pages and the time up to which they were fetched.

    If a fetch fails, the rows fetched before it are yielded first, then its error is raised.
    """
    rows: list[list[float]] = []
    cursor, count = start, 0
    while cursor < end:
        try:
            page = fetch((cursor - EPOCH) // _MILLISECOND)
        except (ExchangeBusyError, CandleError):
            if rows:
                yield rows, cursor
            raise
        cursor = _after(page, cursor=cursor, step=step, what=what)
        rows, count = rows + page, count + 1
        if count % PAGES_A_SAVE == 0:
            yield rows, cursor
            rows = []
    yield rows, cursor


def _after(page: list[list[float]], *, cursor: datetime, step: timedelta, what: str) -> datetime:
    if not page:
        # Exchanges that respond by time window return no rows for an outage, but rows after it.
        return cursor + PAGE * step
    last = EPOCH + int(max(row[0] for row in page)) * _MILLISECOND
    if last < cursor:
        raise CandleError(
            f"{what}: requested from {cursor.isoformat()}, the exchange returned rows up to {last.isoformat()}: it does not support paging"
        )
    return last + step


def _missing_spans(times: pd.Series[Any], *, since: datetime, until: datetime, step: timedelta) -> list[tuple[datetime, datetime]]:
    """Return the spans to fetch: before the first row on disk and after the last one. Gaps between rows are not fetched (outages)."""
    if not len(times):
        return [(since, until)] if since < until else []
    first, last = times.iloc[0].to_pydatetime(), times.iloc[-1].to_pydatetime()
    spans = [(since, min(first, until)), (max(since, last + step), until)]
    return [(start, end) for start, end in spans if end - start >= step]


def _in_time(fresh: pd.DataFrame) -> pd.DataFrame:
    name = str(fresh.columns[0])
    return fresh.assign(**{name: pd.to_datetime(fresh[name].astype("int64"), unit="ms", utc=True)}).astype({name: "datetime64[us, UTC]"})


def _held_candles(path: Path, *, pair: str, timeframe: str, now: datetime) -> pd.DataFrame:
    if not path.exists():
        return no_candles()
    with _at(path):
        return checked_candles(read_frame(path), pair=pair, timeframe=timeframe, now=now)[0]


def _held_funding(path: Path, *, pair: str) -> pd.DataFrame:
    if not path.exists():
        return no_funding()
    with _at(path):
        return checked_funding(read_frame(path).rename(columns={"open": "funding_rate"}), pair=pair)


@contextmanager
def _at(path: Path) -> Iterator[None]:
    try:
        yield
    except CandleError as error:
        raise CandleError(f"{path} cannot be extended: {error}; move the file to another folder to fetch everything again") from error
