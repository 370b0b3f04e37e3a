"""Logging: structlog to standard error; secrets are removed from every value before it is written."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, MutableMapping
from typing import Any

import structlog

_SECRET_KEY = re.compile(r"pass(word|wd)?$|token|secret|api_?key|apikey|signature|authorization", re.IGNORECASE)
_SECRET_TEXT = re.compile(r"((?:signature|api_?key|token|password|secret)=)[^&\s\"']+", re.IGNORECASE)
_URL_LOGIN = re.compile(r"(\w+://[^:/\s@]*:)[^@/\s]+@")
_HIDDEN = "***"
_secrets: set[str] = set()


def configure_logs(process: str, *, level: str, secrets: Iterable[str] = ()) -> None:
    """Configure the logging of a process, once at its start; `secrets` are values that must not appear in any line."""
    _secrets.update(secret for secret in secrets if secret)
    is_terminal = sys.stderr.isatty()
    renderer = structlog.dev.ConsoleRenderer() if is_terminal else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redact_event,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
    structlog.contextvars.bind_contextvars(process=process)
    _configure_foreign_loggers()


def redacted(text: str) -> str:
    """Return a text with *** in place of passwords in URLs, values of parameters such as `token=`, and the configured secret values."""
    text = _URL_LOGIN.sub(rf"\1{_HIDDEN}@", _SECRET_TEXT.sub(rf"\1{_HIDDEN}", text))
    for secret in _secrets:
        text = text.replace(secret, _HIDDEN)
    return text


def _redact_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        event[key] = _HIDDEN if _SECRET_KEY.search(key) else _redact_value(value)
    return event


def _redact_value(value: Any) -> Any:
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {k: _HIDDEN if _SECRET_KEY.search(str(k)) else _redact_value(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_redact_value(item) for item in value]
    return value if isinstance(value, int | float | bool | None) else redacted(str(value))


class _RedactingFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redacted(record.getMessage()), ()
        return True


def _configure_foreign_loggers() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_RedactingFilter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    # ccxt logs keys and signatures at DEBUG.
    logging.getLogger("ccxt").setLevel(logging.WARNING)
