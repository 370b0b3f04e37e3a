"""A Telegram Bot API on loopback: it validates requests of clients, returns messages of people, and fails on demand."""

from __future__ import annotations

import json
import re
import time
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

TOKEN = "123456:canary-token-of-the-tests"
TAGS = {"b", "i", "u", "s", "code", "pre", "a"}
Answer = tuple[int, dict[str, Any]]


class BotApi:
    """Serve getMe, sendMessage and getUpdates for one token.

    `faults` maps a method to the faults of its next requests, in order: None, a status, ("wait", seconds) for a rate limit,
    ("migrate", chat) for a group that became another chat,
    "hang" (no response for `hang_s`), "close" (the connection is closed), "cut" (half a body), "html" (a proxy's page).
    """

    def __init__(self, *, token: str = TOKEN, hang_s: float = 1.0, port: int = 0) -> None:
        self.token, self.hang_s = token, hang_s
        self.faults: dict[str, list[Any]] = {}
        self.sent: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.chats: set[int] = {77, -1001}
        self._updates: list[dict[str, Any]] = []
        self._number = 0
        self._changed = Condition()
        self._is_closing = False
        self._server = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), {"api": self}))
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def texts(self) -> list[str]:
        return [message["text"] for message in self.sent]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def say(self, text: str, *, user: int = 7, chat: int = 77, at: float | None = None) -> None:
        """Add a message of a person to the bot."""
        with self._changed:
            self._number += 1
            person = {"id": user, "is_bot": False, "first_name": "P"}
            place = {"id": chat, "type": "private" if chat > 0 else "supergroup", "title": "T"}
            message = {"message_id": self._number, "date": int(at or time.time()), "chat": place, "from": person, "text": text}
            self._updates.append({"update_id": 1_000 + self._number, "message": message})
            self._changed.notify_all()

    def wait_for(self, count: int, *, patience_s: float = 20.0) -> list[str]:
        """Wait until a number of texts were sent; return the texts."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.sent) >= count, timeout=patience_s), self.texts
        return self.texts

    def wait_for_requests(self, method: str, count: int, *, patience_s: float = 20.0) -> None:
        """Wait until clients have called a method a number of times."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.requests.count(method) >= count, timeout=patience_s), self.requests

    def answer(self, method: str, given: dict[str, Any]) -> Answer:
        with self._changed:
            self.requests.append(method)
            self._changed.notify_all()
        if method == "getMe":
            return 200, {"ok": True, "result": {"id": 1, "is_bot": True, "first_name": "Bot", "username": "bot3_test_bot"}}
        if method == "sendMessage":
            return self._take(given)
        if method == "getUpdates":
            return 200, {"ok": True, "result": self._given_out(int(given.get("offset", 0)), float(given.get("timeout", 0)))}
        return _refusal(404, "Not Found")

    def _take(self, given: dict[str, Any]) -> Answer:
        if int(given["chat_id"]) not in self.chats:
            return _refusal(400, "Bad Request: chat not found")
        if problem := problem_of(given["text"]):
            return _refusal(400, f"Bad Request: {problem}")
        with self._changed:
            self.sent.append(given)
            self._changed.notify_all()
        chat = {"id": int(given["chat_id"]), "type": "private"}
        return 200, {"ok": True, "result": {"message_id": len(self.sent), "date": int(time.time()), "chat": chat, "text": given["text"]}}

    def _given_out(self, offset: int, timeout_s: float) -> list[dict[str, Any]]:
        with self._changed:
            if offset < 0:
                self._updates = self._updates[offset:]
            elif offset:
                self._updates = [update for update in self._updates if update["update_id"] >= offset]
            self._changed.wait_for(lambda: bool(self._updates) or self._is_closing, timeout=timeout_s)
            return list(self._updates)

    def next_fault(self, method: str) -> Any:
        waiting = self.faults.get(method, [])
        return waiting.pop(0) if waiting else None


class _Handler(BaseHTTPRequestHandler):
    """Handler of one client connection."""

    api: BotApi

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        token, _, method = urlsplit(self.path).path.removeprefix("/bot").partition("/")
        fault = self.api.next_fault(method)
        if fault == "close":
            self.close_connection = True
            return
        if fault == "hang":
            time.sleep(self.api.hang_s)
        status, body = self._answered(fault, token=token, method=method, given=dict(parse_qsl(sent)))
        self._reply(status, body, fault=fault)

    def _answered(self, fault: Any, *, token: str, method: str, given: dict[str, Any]) -> Answer:
        if token != self.api.token:
            return _refusal(401, "Unauthorized")
        if isinstance(fault, tuple) and fault[0] == "migrate":
            status, body = _refusal(400, "Bad Request: group chat was upgraded to a supergroup chat")
            return status, {**body, "parameters": {"migrate_to_chat_id": fault[1]}}
        if isinstance(fault, tuple):
            status, body = _refusal(429, f"Too Many Requests: retry after {fault[1]}")
            return status, {**body, "parameters": {"retry_after": fault[1]}}
        if isinstance(fault, int):
            return _refusal(fault, _WORDS.get(fault, "Internal Server Error"))
        return self.api.answer(method, given)

    def _reply(self, status: int, answer: dict[str, Any], *, fault: Any) -> None:
        body = json.dumps(answer).encode()
        if fault == "html":
            # Proxies show the requested address, which contains the token.
            status, body = 502, f"<html>bad gateway: {self.path}</html>".encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body[: len(body) // 2] if fault == "cut" else body)
        except OSError:
            self.close_connection = True
        if fault == "cut":
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        return


_WORDS = {
    403: "Forbidden: bot was blocked by the user",
    409: "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
}


def _refusal(status: int, description: str) -> Answer:
    return status, {"ok": False, "error_code": status, "description": description}


class _Read(HTMLParser):
    """Parser of Telegram's HTML: known tags only, closed in the correct order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.problem, self._open = "", "", list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002  # signature of the parser
        self._open.append(tag)
        if tag not in TAGS:
            self.problem = f'can\'t parse entities: Unsupported start tag "{tag}"'

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.problem = f'can\'t parse entities: Unexpected end tag "{tag}"'

    def handle_data(self, data: str) -> None:
        self.text += data

    def ended(self) -> str:
        self.close()
        return self.problem or ("can't parse entities: Can't find end tag" if self._open else "")


def problem_of(html: str) -> str:
    """Return the reason why Telegram would refuse a text; empty if it would accept it."""
    read = _Read()
    read.feed(html)
    if problem := read.ended():
        return problem
    if re.search(r"<(?!/?[a-z])|&(?!(lt|gt|amp|quot|#x27|#\d+);)", html):
        return "can't parse entities: a < or & is not escaped"
    if not read.text.strip():
        return "message text is empty"
    return "message is too long" if len(read.text.encode("utf-16-le")) // 2 > 4_096 else ""
