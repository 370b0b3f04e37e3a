"""Where files that are installed with the code are found, in a checkout as in an environment: no working directory plays a part.

The packages lie side by side in both. `importlib.resources` would import them first, and `bot3_assets` brings Dagster.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGES = Path(__file__).resolve().parents[1]
DAGSTER_CONFIG = _PACKAGES / "bot3_assets" / "config"
"""Directory of Dagster's instance and workspace files."""
DASHBOARD_SCRIPT = _PACKAGES / "dashboard" / "serve.py"
"""What `streamlit run` is given. Streamlit reads `.streamlit/config.toml` beside it last, after that of the working directory."""
