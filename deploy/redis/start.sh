#!/bin/sh
# Start Redis with its password from a file: a password in an argument could be read by every process of the machine.
set -eu
folder=$(dirname "$0")
exec redis-server - <<END
$(cat "$folder/redis.conf")
dir $REDIS_DIRECTORY
bind $REDIS_BIND
port $REDIS_PORT
requirepass $(cat "$REDIS_PASSWORD_FILE")
END
