#!/bin/sh
# Report by the exit code whether Redis responds to a request with its password.
set -eu
REDISCLI_AUTH=$(cat "$REDIS_PASSWORD_FILE")
export REDISCLI_AUTH
test "$(redis-cli -p "$REDIS_PORT" ping)" = PONG
