"""The dashboard's pages and their navigation; Streamlit runs this script (`dashboard/serve.py` serves it)."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import streamlit as st

from bot3.errors import SettingsError, StoreBusyError, StoreError
from bot3.logs import configure_logs
from bot3.settings import Settings, load_settings
from bot3.wiring import home_identity, is_seeded, open_platform
from dashboard.home import DashboardHome
from dashboard.page import banner, missing, show_bar
from dashboard.views import feeders, learned, now, regime, system, trades

PAGES: tuple[tuple[str, str, Callable[[DashboardHome], None]], ...] = (
    ("Now", ":material/explore:", now.render),
    ("Trades", ":material/receipt_long:", trades.render),
    ("Learned", ":material/school:", learned.render),
    ("Feeders", ":material/sensors:", feeders.render),
    ("Regime", ":material/partly_cloudy_day:", regime.render),
    ("System", ":material/monitor_heart:", system.render),
)


class OpenedHome:
    """A home whose stores are opened read-only at first use; Streamlit's cache calls `close` when it drops the object."""

    def __init__(self, settings: Settings, identity: str) -> None:
        self._closers = ExitStack()
        platform = self._closers.enter_context(open_platform(settings, read_only=True))
        self.home = DashboardHome(platform, is_seeded=is_seeded(settings), is_current=lambda: home_identity(settings) == identity)

    def close(self) -> None:
        """Close all stores that were opened."""
        self._closers.close()


def _read_settings() -> Settings:
    settings = load_settings()
    configure_logs("dashboard", level=settings.log_level, secrets=settings.secrets())
    return settings


def _open_home(_settings: Settings, identity: str) -> OpenedHome:
    opened = OpenedHome(_settings, identity)
    # Streamlit runs the garbage collector after every run of every fragment. Loaded modules are never garbage, and scanning them takes most
    # of a run's time: `freeze` excludes them.
    gc.collect()
    gc.freeze()
    return opened


# Cached once per process, one home at a time: a changed identity closes the home and opens the other one.
read_settings = st.cache_resource(_read_settings, show_spinner=False)
open_home = st.cache_resource(_open_home, max_entries=1, on_release=OpenedHome.close, show_spinner=False)


def main() -> None:
    """Show the requested page below the bar with the platform's state; only an error if the settings are invalid."""
    # An emoji as page icon: the browser would fetch a material icon from fonts.gstatic.com.
    st.set_page_config(page_title="BOT3", page_icon="🧭", layout="wide")
    # Set here too, because an environment variable or an option of `streamlit run` may change it: pages must show no traceback.
    st.set_option("client.showErrorDetails", "none")
    try:
        settings = read_settings()
    except SettingsError as error:
        st.error(f"**Settings are refused**: {error}")
        st.stop()
    home = open_home(settings, home_identity(settings)).home
    page = st.navigation([_page(title, icon, render, home) for title, icon, render in PAGES], position="top")
    if not home.is_seeded:
        missing(
            "The seed of this home is not complete.", f"`bot3 init` (or `make run`) fills {settings.home}; what is there already is shown."
        )
        _stop_without_stores(home)
    show_bar(home)
    page.run()


def _stop_without_stores(home: DashboardHome) -> None:
    try:
        home.ports.control.anchor()
    except StoreBusyError:
        return
    except StoreError:
        st.stop()


def _page(title: str, icon: str, render: Callable[[DashboardHome], None], home: DashboardHome) -> st.Page:
    return st.Page(partial(_guarded, title, render, home), title=title, icon=icon, url_path=title.lower(), default=title == "Now")


def _guarded(title: str, render: Callable[[DashboardHome], None], home: DashboardHome) -> None:
    with banner(f"The page {title}"):
        render(home)


if __name__ == "__main__":
    main()
