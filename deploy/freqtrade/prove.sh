#!/usr/bin/env bash
# Test the mixin in real freqtrade, offline, on the candles of ../shared/data: create the environment if it is missing, then compare.
set -euo pipefail
cd "$(dirname "$0")/../.."
test -x .venv-freqtrade/bin/freqtrade || bash deploy/freqtrade/environment.sh >&2
exec .venv/bin/python -m benchmarks.freqtrade_strategy "$@"
