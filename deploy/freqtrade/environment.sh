#!/usr/bin/env bash
# Create a virtual environment for freqtrade, separate from the platform's: .venv-freqtrade, or the given directory.
# The test of the mixin runs in it: .venv/bin/python -m benchmarks.freqtrade_strategy
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${1:-.venv-freqtrade}
python=${PYTHON:-python3}
test -x "$target/bin/python" || "$python" -m venv "$target"
echo '*' > "$target/.gitignore"
"$target/bin/python" -m pip install -q --require-hashes -r requirements-uv.lock
"$target/bin/uv" pip install -q --python "$target/bin/python" --require-hashes -r deploy/freqtrade/requirements.lock
"$target/bin/freqtrade" --version
