#!/usr/bin/env bash
# Create the missing secrets, one file each; existing ones are not changed. Usage: make-secrets.sh [DIRECTORY [GROUP]]
# For docker-compose.yml: deploy/make-secrets.sh (into .bot3-secrets). For the systemd units: deploy/make-secrets.sh /etc/bot3/secrets bot3
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:-.bot3-secrets}
group=${2:-}
umask 077
mkdir -p "$target"
# Compose mounts each file into containers with other users, so the files are readable and only their directory is private. Services of this
# machine read the files as members of their group.
file_mode=444
if [ -n "$group" ]; then
  file_mode=440
  chgrp "$group" "$target"
  chmod 750 "$target"
else
  chmod 700 "$target"
fi
echo '*' > "$target/.gitignore"
for name in postgres_password bot1_db_password bot2_db_password bot3_db_password reader_db_password dagster_db_password influx_password influx_token redis_password; do
  test -s "$target/$name" || head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' > "$target/$name"
  if [ -n "$group" ]; then chgrp "$group" "$target/$name"; fi
  chmod "$file_mode" "$target/$name"
done
