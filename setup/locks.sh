#!/bin/bash
# Makes locks/*.txt anew from locks/*.in: newest versions that fit, with hashes, without any address.
set -euo pipefail
cd "$(dirname "$0")/../locks"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
/usr/bin/python3 -m venv "$scratch/venv"
"$scratch/venv/bin/python" -m pip install -qq --disable-pip-version-check pip-tools

for wanted in *.in; do
    lock=${wanted%.in}.txt
    echo "$lock" >&2
    # To a new file, so that no earlier lock holds a version back; in place only when it is complete.
    "$scratch/venv/bin/pip-compile" --quiet --generate-hashes --allow-unsafe --strip-extras \
        --no-header --no-annotate --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options \
        --output-file "$scratch/$lock" "$wanted"
    if grep -q '://' "$scratch/$lock"; then
        echo "$lock would hold an address; it stays as it was." >&2
        exit 1
    fi
    cp "$scratch/$lock" "$lock"
done
