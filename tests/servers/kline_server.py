"""A loopback server with Binance USD-M's public endpoints for klines and funding, which fails on demand."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pandas as pd

from tests.servers.loopback import LoopbackServer, QuietHandler

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def milliseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)


class KlineServer(LoopbackServer):
    """Serve one pair's candles up to `now`, the one in progress included, as Binance does.

    `faults` maps a path's last part to {number of the request, from 0: fault}: a status, "cut" (half a body) or "html".
    """

    def __init__(self, candles: pd.DataFrame, funding: pd.DataFrame, *, symbol: str, now: datetime, page: int = 1_500) -> None:
        self.now = now
        self.page = page
        self.faults: dict[str, dict[int, int | str]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.headers: list[dict[str, str]] = []
        self._candles, self._funding, self._symbol = candles, funding, symbol
        self._counts: dict[str, int] = {}
        super().__init__()

    def answer(self, endpoint: str, query: dict[str, str]) -> Any:
        if endpoint == "time":
            return {"serverTime": milliseconds(self.now)}
        if endpoint == "exchangeInfo":
            return {"timezone": "UTC", "rateLimits": [], "symbols": [_symbol_info(self._symbol)]}
        since, limit = int(query.get("startTime", "0")), min(int(query.get("limit", "500")), self.page)
        if endpoint == "klines":
            return self._klines(since, limit)
        if endpoint == "fundingRate":
            return self._rates(since, limit)
        return None

    def _klines(self, since: int, limit: int) -> list[list[Any]]:
        opens = [milliseconds(at) for at in self._candles["open_time"]]
        rows = zip(opens, *(self._candles[name] for name in ("open", "high", "low", "close", "volume")), strict=True)
        known = [row for row in rows if since <= row[0] <= milliseconds(self.now)]
        return [[row[0], *map(str, row[1:]), row[0] + 299_999, "0", 1, "0", "0", "0"] for row in known[:limit]]

    def _rates(self, since: int, limit: int) -> list[dict[str, Any]]:
        # The exchange's timestamps are some milliseconds late.
        rows = [(milliseconds(at) + 3, rate) for at, rate in zip(self._funding["time"], self._funding["funding_rate"], strict=True)]
        known = [row for row in rows if since <= row[0] <= milliseconds(self.now)]
        return [{"symbol": self._symbol, "fundingTime": at, "fundingRate": f"{rate:.8f}", "markPrice": "1"} for at, rate in known[:limit]]

    def next_fault(self, endpoint: str) -> int | str | None:
        number = self._counts.get(endpoint, 0)
        self._counts[endpoint] = number + 1
        return self.faults.get(endpoint, {}).get(number)

    def handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(QuietHandler):
            def do_GET(self) -> None:  # noqa: N802  # name defined by http.server
                url = urlsplit(self.path)
                endpoint, query = url.path.rsplit("/", 1)[-1], {key: found[0] for key, found in parse_qs(url.query).items()}
                server.requests.append((endpoint, query))
                server.headers.append(dict(self.headers))
                fault = server.next_fault(endpoint)
                answer = server.answer(endpoint, query)
                status = fault if isinstance(fault, int) else 404 if answer is None else 200
                body = json.dumps(answer if status == 200 else {"code": -1003, "msg": "Too many requests."}).encode()
                if fault == "cut":
                    body = body[: len(body) // 2]
                if fault == "html":
                    body = b"<html>maintenance</html>"
                self.answer_json(status, body)

        return Handler


def _symbol_info(symbol: str) -> dict[str, Any]:
    base = symbol.removesuffix("USDT")
    return {
        "symbol": symbol,
        "pair": symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "status": "TRADING",
        "baseAsset": base,
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.1", "maxPrice": "1000000", "tickSize": "0.10"},
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
            {"filterType": "MARKET_LOT_SIZE", "minQty": "0.001", "maxQty": "120", "stepSize": "0.001"},
            {"filterType": "MIN_NOTIONAL", "notional": "100"},
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP_MARKET", "TAKE_PROFIT_MARKET"],
        "timeInForce": ["GTC"],
    }
