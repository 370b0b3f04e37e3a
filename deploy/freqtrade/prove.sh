#!/usr/bin/env bash
# Prove the mixin in real freqtrade, offline, on the candles of ../shared/data: makes the environment if there is none, then compares.
set -euo pipefail
cd "$(dirname "$0")/../.."
test -x .venv-freqtrade/bin/freqtrade || bash deploy/freqtrade/environment.sh >&2
exec .venv/bin/python -m benchmarks.freqtrade_strategy "$@"
