#!/usr/bin/env bash
# Makes the secrets of docker-compose.yml that are missing: one file each in .bot3-secrets, or the directory given. Existing ones are kept.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:-.bot3-secrets}
mkdir -p "$target"
chmod 700 "$target"
echo '*' > "$target/.gitignore"
for name in postgres_password bot1_db_password bot2_db_password bot3_db_password reader_db_password dagster_db_password influx_password influx_token redis_password; do
  test -s "$target/$name" && continue
  head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' > "$target/$name"
  # The directory is closed; the file is mounted by itself into containers whose users are others.
  chmod 444 "$target/$name"
done
