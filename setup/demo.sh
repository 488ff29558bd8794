#!/bin/bash
# Opens the console on the lake: starts the lake if it is down, and takes down afterwards what this call started.
#
# KEEP=1 leaves the lake running. Without a terminal the panes are printed as tables. Everything must be installed
# already (`make demo` sees to that). Exits as the console does.
set -euo pipefail
cd "$(dirname "$0")/.."
qostui=.venv/bin/qostui

exec 3<&0 # what runs in the background reads from here: bash would give it /dev/null
child=
started=

# Runs its arguments so that a signal to this script is acted on at once, not when they end by themselves.
run() {
    local code=0
    env --default-signal=INT,QUIT "$@" <&3 3<&- &
    child=$!
    wait "$child" || code=$?
    child=
    return "$code"
}

finish() {
    local code=$?
    trap '' INT TERM HUP QUIT
    if [ -n "$child" ]; then
        kill -TERM "$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    fi
    if [ -n "$started" ]; then
        if [ "${KEEP:-}" = 1 ]; then
            echo "The lake keeps running; $qostui lake down stops it." >&2 || true
        else
            "$qostui" lake down >/dev/null 3<&- || code=$((code ? code : 1))
        fi
    fi
    exit "$code"
}
trap finish EXIT
trap 'exec >/dev/null 2>&1; exit 129' HUP # the terminal is gone: nothing may fail for want of it
trap 'exit 130' INT
trap 'exit 131' QUIT
trap 'exit 143' TERM

# One service that runs is enough: then someone else started this lake, and it is theirs to stop.
if ! "$qostui" lake status -o json 2>/dev/null | grep -Eq '"pid": *[1-9]'; then started=1; fi
run "$qostui" lake up

# A configuration of the lake's own, so that a person's stays as it is; the command prints where it put it.
QOSTUI_CONFIG=$("$qostui" lake profiles)
export QOSTUI_CONFIG

if [ -t 0 ] && [ -t 1 ] && [ "${TERM:-dumb}" != dumb ]; then
    run "$qostui"
else
    run "$qostui" --once
fi
