from __future__ import annotations

import pytest
import structlog

from bot3.logs import configure_logs, redacted


def test_redacted_given_a_login_in_an_address_then_hides_the_password() -> None:
    assert redacted("postgresql://bot:hunter2@127.0.0.1/bot1") == "postgresql://bot:***@127.0.0.1/bot1"


def test_redacted_given_a_signed_query_then_hides_the_signature() -> None:
    assert redacted("GET /order?amount=1&signature=abc123&x=2") == "GET /order?amount=1&signature=***&x=2"


def test_log_given_secrets_in_keys_and_values_then_none_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("test", level="INFO", secrets=["canary-9"])

    structlog.get_logger().info("asked", api_key="k-1", detail={"token": "t-1", "text": "has canary-9 in it"}, error=ValueError("canary-9"))

    line = capsys.readouterr().err
    assert '"event": "asked"' in line
    assert not any(secret in line for secret in ("k-1", "t-1", "canary-9"))
