#!/usr/bin/env bash
# Install the Debian packages that tests start as servers, if possible; otherwise print one line with the tests that will be skipped.
set -u
missing=()
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || missing+=(postgresql)
command -v chromium >/dev/null || missing+=(chromium)
command -v redis-server >/dev/null || missing+=(redis-server)
# Its promtool tests the alert rules.
command -v promtool >/dev/null || missing+=(prometheus)
[ "${#missing[@]}" -eq 0 ] && exit 0
sudo=()
[ "$(id -u)" -eq 0 ] || sudo=(sudo -n)
if command -v apt-get >/dev/null && "${sudo[@]}" true 2>/dev/null; then
  echo "Installing Debian packages: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  if "${sudo[@]}" apt-get update -qq >/dev/null 2>&1 && "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null 2>&1; then
    exit 0
  fi
fi
echo "Skipped: tests that need ${missing[*]}; to run them: apt-get install ${missing[*]}" >&2
[ -z "${CI:-}" ]
