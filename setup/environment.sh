#!/bin/bash
# Makes the console's environment in .venv: every package by lock and hash, then this checkout on top of it.
# Does nothing, at once, when .venv already is what the locks and pyproject.toml ask for.
set -euo pipefail
cd "$(dirname "$0")/.."

# The system's own: a version manager's shim may come first in PATH, and its Python goes away with the manager.
python=/usr/bin/python3
venv=.venv
stamp=$venv/.made-from

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "qostui needs Python 3.11 or newer as $python; install it and try again." >&2
    exit 2
fi

# A virtual environment knows its own place and its Python: another place or another Python means a new one.
packages_wanted=$({ pwd -P; "$python" -VV; cat locks/console.txt; } | sha256sum | cut -d' ' -f1)
project_wanted=$(cat pyproject.toml qostui/__init__.py setup/environment.sh | sha256sum | cut -d' ' -f1)

made_from() { # made_from LINE: what .venv was made from, nothing if it was never finished
    if [ -f "$stamp" ]; then sed -n "${1}p" "$stamp"; fi
}

if [ "$(made_from 1)" = "$packages_wanted" ] && [ "$(made_from 2)" = "$project_wanted" ] && [ -x "$venv/bin/qostui" ]; then
    exit 0
fi

mkdir -p build
exec 9>build/environment.lock
flock 9 # two makes at once: the second finds the work done

# Settings that would send packages elsewhere or mix other packages in.
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV PIP_TARGET PIP_PREFIX PIP_USER PIP_REQUIRE_VIRTUALENV
pip() { "$venv/bin/python" -m pip --disable-pip-version-check --no-input "$@"; }

if [ "$(made_from 1)" != "$packages_wanted" ]; then
    echo "Making the console's environment (.venv)" >&2
    rm -f "$stamp"
    "$python" -m venv --clear "$venv"
    pip install -qq --require-hashes --no-deps -r locks/console.txt
    printf '%s\n' "$packages_wanted" >"$stamp"
fi
if [ "$(made_from 2)" != "$project_wanted" ] || [ ! -x "$venv/bin/qostui" ]; then
    pip install -qq --no-deps --no-index --no-build-isolation -e .
    if ! problems=$(pip check); then
        printf '%s\n' "$problems" >&2
        exit 1
    fi
    printf '%s\n%s\n' "$packages_wanted" "$project_wanted" >"$stamp"
fi
