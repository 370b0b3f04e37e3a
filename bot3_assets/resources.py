"""The platform of a home as a Dagster resource, opened once in a process."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from threading import Lock, RLock
from typing import TYPE_CHECKING, Generic, TypeVar

import dagster as dg

from bot3.errors import StoreBusyError, StoreFullError

if TYPE_CHECKING:
    from bot3.wiring import Platform

_Kept = TypeVar("_Kept")

_lock = RLock()
_open: dict[Path, Platform] = {}
_closers = ExitStack()


class PlatformResource(dg.ConfigurableResource["PlatformResource"]):
    """Dagster resource that opens the platform of a home.

    Opening takes a second because of imports, so a process opens each home once, and all ticks and runs in it share the platform.
    """

    home: str = ""
    """Directory of the home; if empty, BOT3_HOME."""

    def platform(self) -> Platform:
        """Return the home's platform, which the first call in a process opens.

        Raises
        ------
        SettingsError, DataError
            If a setting is invalid or the home cannot be opened; the next call tries again.
        """
        # Imported here: the imports are slow, and the code location must load within seconds.
        from bot3.logs import configure_logs  # noqa: PLC0415  # loaded when the platform is opened
        from bot3.settings import load_settings  # noqa: PLC0415  # loaded when the platform is opened
        from bot3.wiring import open_platform  # noqa: PLC0415  # loaded when the platform is opened

        with _lock:
            settings = load_settings(home=Path(self.home)) if self.home else load_settings()
            home = settings.home.resolve()
            if home not in _open:
                if not _open:
                    configure_logs("dagster", level=settings.log_level, secrets=settings.secrets())
                    atexit.register(_closers.close)
                _open[home] = _closers.enter_context(open_platform(settings))
            return _open[home]

    def nothing_to_do(self) -> str | None:
        """Return why a sensor or schedule must skip its tick: there is no seeded home, or a store is unavailable or full; None otherwise.

        Raises
        ------
        SettingsError, DataError
            If a setting is invalid, or a store cannot be opened and the failure is not temporary.
        """
        from bot3.settings import load_settings  # noqa: PLC0415  # loaded when the platform is opened
        from bot3.wiring import is_seeded  # noqa: PLC0415  # loaded when the platform is opened

        settings = load_settings(home=Path(self.home)) if self.home else load_settings()
        if not is_seeded(settings):
            return f"{settings.home} contains no seeded home: run `bot3 init` (or `make run`), or set BOT3_HOME"
        try:
            self.platform().open_stores()
        except (StoreBusyError, StoreFullError) as error:
            return f"delayed: {error}"  # `bot3.cli.doctor_services` searches for this prefix
        return None


def close_with_platforms(close: Callable[[], object]) -> None:
    """Register a callback that runs when the process' open platforms are closed, before they are."""
    with _lock:
        _closers.callback(close)


class KeptByPlatform(Generic[_Kept]):
    """Caches one object for each platform that is open in this process; it is created on first use and dropped with the platforms."""

    def __init__(self, make: Callable[[Platform], _Kept]) -> None:
        self._make, self._lock = make, Lock()
        self._kept: dict[int, _Kept] = {}

    def of(self, platform: Platform) -> _Kept:
        """Return the cached object of a platform; create it on first use."""
        with self._lock:
            key = id(platform)
            if key not in self._kept:
                self._kept[key] = self._make(platform)
                close_with_platforms(lambda: self._kept.pop(key))
            return self._kept[key]


def close_platforms() -> None:
    """Close all platforms of this process (used by tests before they remove a home)."""
    with _lock:
        _open.clear()
        _closers.close()
