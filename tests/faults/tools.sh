#!/bin/sh
# Installs the programs that `make drill` starts, where this is Debian and root. Elsewhere it says
# what to install; a drill that misses its program then fails and names it.
set -eu

missing=""
need() {
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need strace strace
need nginx nginx
need faketime faketime
need wrk wrk
need mount mount

[ -n "$missing" ] || exit 0
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    apt-get update -qq
    # Run level 1: what is installed here is not to be started as a service.
    # shellcheck disable=SC2086
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes -qq --no-install-recommends $missing
else
    echo "make drill: install these first:$missing" >&2
fi
