#!/bin/bash
# Installs the Debian packages of packages.txt that are missing; does nothing when none is.
#
# As root, or through `sudo -n`; without either it prints the one apt line and exits 2. Where there is no apt it prints
# the names; SKIP_SYSTEM=1 then says that what they stand for is there.
set -euo pipefail
cd "$(dirname "$0")"

mapfile -t wanted < <(sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' packages.txt)

if [ "${SKIP_SYSTEM:-}" = 1 ]; then exit 0; fi

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    {
        echo "This system has no apt. The lake needs what these Debian 12 packages hold:"
        printf '  %s\n' "${wanted[@]}"
        echo "Install that with your system's own tools, then run again with SKIP_SYSTEM=1."
    } >&2
    exit 2
fi

installed=$(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null |
    sed -n 's/^installed //p' || true)
missing=()
for package in "${wanted[@]}"; do
    if ! grep -Fxq -- "$package" <<<"$installed"; then missing+=("$package"); fi
done
if [ "${#missing[@]}" -eq 0 ]; then exit 0; fi

if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        exec sudo -n env "http_proxy=${http_proxy:-}" "https_proxy=${https_proxy:-}" "no_proxy=${no_proxy:-}" /bin/bash "$PWD/system.sh"
    fi
    {
        echo "Some Debian packages are missing, and neither root nor sudo without a pass word is at hand. Run this, then try again:"
        echo "  apt-get install --no-install-recommends ${missing[*]}"
    } >&2
    exit 2
fi

export DEBIAN_FRONTEND=noninteractive DEBIAN_PRIORITY=critical APT_LISTCHANGES_FRONTEND=none NEEDRESTART_SUSPEND=1
if [ -z "${http_proxy:-}" ]; then unset http_proxy; fi
if [ -z "${https_proxy:-}" ]; then unset https_proxy; fi
if [ -z "${no_proxy:-}" ]; then unset no_proxy; fi

lock_wait=300
apt_options=(
    -q -y
    -o DPkg::Lock::Timeout=$lock_wait
    -o Acquire::Retries=3
    -o Dpkg::Use-Pty=0
    -o Dpkg::Options::=--force-confdef
    -o Dpkg::Options::=--force-confold
)
log=$(mktemp)
policy=/usr/sbin/policy-rc.d
own_policy=

tidy() {
    rm -f "$log"
    if [ -n "$own_policy" ]; then rm -f "$policy"; fi
}
trap tidy EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# apt itself waits for dpkg's lock only; for those of its lists and its cache it gives up at once.
apt() {
    local deadline=$((SECONDS + lock_wait))
    until apt-get "${apt_options[@]}" "$@" >"$log" 2>&1; do
        if ! grep -q 'Could not get lock' "$log" || [ "$SECONDS" -ge "$deadline" ]; then return 1; fi
        sleep 2
    done
}

# The packages bring services for whole machines (a GridFTP server on its well-known port): the lake starts its own.
# What is laid here for the time being answers "no" only while this script lives, should its removal be missed.
keep_services_down() {
    if [ -e "$policy" ] || [ -L "$policy" ]; then return; fi
    own_policy=1
    printf '#!/bin/sh\n# Laid by the set-up of qostui while it installs packages; may be removed.\n[ ! -d /proc/%s ] || exit 101\nexit 0\n' "$$" >"$policy"
    chmod 755 "$policy"
}

known() { # whether apt's lists hold every missing package
    [ "$(apt-cache show --no-all-versions "${missing[@]}" 2>/dev/null | grep -c '^Package:')" -ge "${#missing[@]}" ]
}

echo "Installing Debian packages: ${missing[*]}" >&2
updated=
if ! known; then
    # One source of many that fails need not be one of ours.
    if ! apt update && ! known; then
        tail -n 20 "$log" >&2
        echo "apt-get update failed; see above, then try again." >&2
        exit 1
    fi
    updated=1
fi
keep_services_down
if ! apt install --no-install-recommends "${missing[@]}"; then
    # Lists that are there but old name versions that are gone from the archive.
    if [ -n "$updated" ] || ! apt update || ! apt install --no-install-recommends "${missing[@]}"; then
        tail -n 30 "$log" >&2
        echo "apt-get could not install: ${missing[*]}; see above, then try again." >&2
        exit 1
    fi
fi
