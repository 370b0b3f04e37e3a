#!/bin/sh
# Starts Redis with its password from a file: given as an argument, every process of the machine could read it.
set -eu
folder=$(dirname "$0")
exec redis-server - <<END
$(cat "$folder/redis.conf")
dir $REDIS_DIRECTORY
bind $REDIS_BIND
port $REDIS_PORT
requirepass $(cat "$REDIS_PASSWORD_FILE")
END
