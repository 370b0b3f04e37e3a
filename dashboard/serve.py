"""Serve the dashboard with `streamlit run dashboard/serve.py`.

The server shows the pages of `app.py` and rejects requests that other web pages cause (`bot3.web_guard`).
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

from bot3.errors import SettingsError
from bot3.private_files import create_private_files
from bot3.settings import load_settings
from bot3.web_guard import RequestRule, WebGuard


def allowed_hosts() -> tuple[str, ...]:
    """Return the host names that are accepted besides the loopback ones; none if the settings are invalid, which the pages report."""
    try:
        return load_settings().allowed_hosts
    except SettingsError:
        return ()


create_private_files()
app = st.App(Path(__file__).with_name("app.py"), middleware=[Middleware(WebGuard, rule=RequestRule(allowed_hosts=allowed_hosts()))])
