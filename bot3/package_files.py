"""Paths of files that are installed with the code; they do not depend on the working directory.

In a checkout and in an installation the packages are directories beside each other. `importlib.resources` would import a package to find
its files, and importing `bot3_assets` imports Dagster.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGES = Path(__file__).resolve().parents[1]
DAGSTER_CONFIG = _PACKAGES / "bot3_assets" / "config"
"""Directory of Dagster's instance files and workspace files."""
DASHBOARD_SCRIPT = _PACKAGES / "dashboard" / "serve.py"
"""Script for `streamlit run`. Streamlit reads the `.streamlit/config.toml` beside it, which overrides that of the working directory."""
