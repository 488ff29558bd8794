#!/bin/bash
# Tries qostui in a bare Debian: a new root with only sudo, make, git, python3 and an ordinary user, who clones this
# checkout's last commit and runs `make demo`, `make test` and a second `make -s setup` (which must take under 5 s).
#
#   setup/clean_room.sh [TARGET...]     these make targets instead
#   KEEP_ROOM=1                         leaves the room for a look; its place is printed
#
# The room uses this machine's apt sources, CA certificates, pip settings and network; packages that apt fetched are
# kept in build/apt-cache for the next time. All its mounts and processes live in namespaces of their own and end with
# this script. Needs root. The log is build/clean-room.log.
set -euo pipefail
self=$(readlink -f "$0")
checkout=$(dirname "$(dirname "$self")")
user=visitor
second_setup_limit=5

# ---- inside the new namespaces, outside the room: mounts, then the room's user takes over --------------------------

enter() { # enter ROOM TARGET...
    local room=$1
    shift
    mount -t proc -o nosuid,nodev,noexec proc "$room/proc"
    mount -t tmpfs -o mode=755,size=1m tmpfs "$room/dev"
    local device
    for device in null zero full random urandom tty; do
        : >"$room/dev/$device"
        mount --bind "/dev/$device" "$room/dev/$device"
    done
    mkdir "$room/dev/pts" "$room/dev/shm"
    mount -t devpts -o newinstance,gid=5,mode=620,ptmxmode=666 devpts "$room/dev/pts"
    mount -t tmpfs -o mode=1777 tmpfs "$room/dev/shm"
    ln -s pts/ptmx "$room/dev/ptmx"
    ln -s /proc/self/fd "$room/dev/fd"
    ln -s /proc/self/fd/0 "$room/dev/stdin"
    ln -s /proc/self/fd/1 "$room/dev/stdout"
    ln -s /proc/self/fd/2 "$room/dev/stderr"
    mount --bind "$checkout/build/apt-cache" "$room/var/cache/apt/archives"
    local directory
    while read -r directory; do
        mkdir -p "$room$directory"
        mount --bind "$directory" "$room$directory"
        mount -o remount,bind,ro "$room$directory"
    done <"$room.binds"
    # Not exec: a change of user would drop the wish to be killed with the parent, and this is the namespace's first process.
    chroot "$room" setpriv --reuid="$user" --regid="$user" --init-groups \
        env -i HOME="/home/$user" USER="$user" LOGNAME="$user" SHELL=/bin/bash LANG=C.UTF-8 TERM=dumb \
        PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games \
        /bin/bash /srv/steps "$@" </dev/null
}

# ---- inside the room, as its user ------------------------------------------------------------------------------------

steps() { # steps TARGET...
    set +e
    cd "$HOME" || exit 1
    set -a
    . /srv/pip-environment
    set +a
    local failed=0 summary='' began code line
    step() {
        local name=$1
        shift
        printf '\n==== %s\n' "$name"
        began=$(date +%s%N)
        "$@" </dev/null
        code=$?
        took=$((($(date +%s%N) - began) / 1000000))
        line=$(printf '%-24s exit %s, %s.%03d s' "$name" "$code" $((took / 1000)) $((took % 1000)))
        summary+="$line"$'\n'
        printf '==== %s\n' "$line"
        [ "$code" -eq 0 ] || failed=1
    }
    step 'git clone' git -c advice.detachedHead=false clone --quiet /srv/qostui.bundle qostui
    cd qostui || exit 1
    if [ "$#" -gt 0 ]; then
        local target
        for target in "$@"; do step "make $target" make "$target"; done
    else
        step 'make demo </dev/null' make demo
        step 'make test' make test
        step 'make -s setup, again' make -s setup
        if [ "$took" -ge $((second_setup_limit * 1000)) ]; then
            summary+="the second set-up took $second_setup_limit s or more"$'\n'
            failed=1
        fi
    fi
    printf '\n==== in the clean room\n%s' "$summary"
    exit "$failed"
}

case "${1:-}" in
--enter)
    shift
    enter "$@"
    exit
    ;;
esac
if [ "$self" = /srv/steps ]; then steps "$@"; fi

# ---- on this machine ----------------------------------------------------------------------------------------------

if [ "$(id -u)" -ne 0 ]; then
    if sudo -n true 2>/dev/null; then exec sudo -n KEEP_ROOM="${KEEP_ROOM:-}" /bin/bash "$self" "$@"; fi
    echo "A clean room needs root: sudo setup/clean_room.sh" >&2
    exit 2
fi
if ! command -v mmdebstrap >/dev/null; then
    if ! apt-get install -q -y -o DPkg::Lock::Timeout=300 --no-install-recommends mmdebstrap >/dev/null; then
        echo "A clean room needs mmdebstrap: apt-get update, apt-get install mmdebstrap" >&2
        exit 2
    fi
fi
git=(git -c safe.directory='*' -C "$checkout")
if ! commit=$("${git[@]}" rev-parse --short HEAD 2>/dev/null); then
    echo "A clean room clones the last commit, and there is none yet." >&2
    exit 2
fi

mkdir -p "$checkout/build/apt-cache/partial"
log=$checkout/build/clean-room.log
scratch=$(mktemp -d /var/tmp/qostui-clean-room.XXXXXX)
chmod 755 "$scratch"
room=$scratch/root
namespaces=

finish() {
    local code=$?
    trap '' INT TERM HUP
    if [ -n "$namespaces" ]; then
        # The first process of the room's own PID namespace: when it is gone, so is every other in there.
        kill -KILL $(cat "/proc/$namespaces/task/$namespaces/children" 2>/dev/null) 2>/dev/null || true
        wait "$namespaces" 2>/dev/null || true
    fi
    if [ -n "${SUDO_UID:-}" ]; then chown "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$checkout/build" "$log" || true; fi
    if [ "${KEEP_ROOM:-}" = 1 ]; then
        echo "The room is left in $room" >&2
    elif findmnt --raw --noheadings --output TARGET | grep -F "$scratch/" >&2; then
        echo "The room still has the mounts above: unmount them, then remove $scratch" >&2
        code=1
    else
        rm -rf --one-file-system "$scratch"
    fi
    exit "$code"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

exec > >(trap '' INT TERM HUP; tee "$log") 2>&1

printf 'Clean room for commit %s, %s\n' "$commit" "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
if [ -n "$("${git[@]}" status --porcelain)" ]; then echo 'Changes that are not committed are not in the room.'; fi

shopt -s nullglob
apt_settings=$scratch/apt.conf
apt-config dump | grep -E '^Acquire::(http|https|Check-|Retries|Force)' >"$apt_settings" || true
chmod 644 "$apt_settings"
sources=(/etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources)
if [ -s /etc/apt/sources.list ]; then sources+=(/etc/apt/sources.list); fi
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
echo "Bare $(. /etc/os-release && echo "$PRETTY_NAME") with sudo, make, git, python3"
mmdebstrap --quiet --mode=root --variant=minbase --include=sudo,make,git,python3,ca-certificates \
    --aptopt="$apt_settings" --setup-hook='mkdir -p "$1/etc/apt/keyrings"' \
    --setup-hook='find /etc/apt/keyrings -type f -exec cp {} "$1/etc/apt/keyrings" \;' \
    "$codename" "$room" "${sources[@]}"

rm -rf "$room"/var/lib/apt/lists/* # a fresh machine may never have updated them
cp --dereference /etc/resolv.conf /etc/hosts "$room/etc/"
authorities=(/usr/local/share/ca-certificates/*.crt)
if [ "${#authorities[@]}" -gt 0 ]; then
    cp "${authorities[@]}" "$room/usr/local/share/ca-certificates/"
    chroot "$room" /usr/sbin/update-ca-certificates >/dev/null
fi
chroot "$room" /usr/sbin/useradd --create-home --shell /bin/bash "$user"
echo "$user ALL=(ALL) NOPASSWD: ALL" >"$room/etc/sudoers.d/$user"
chmod 440 "$room/etc/sudoers.d/$user"

# pip as it is set up here: its files, its variables, and the local directories that both name.
invoker=$(getent passwd "${SUDO_UID:-0}" | cut -d: -f6)
pip_files=()
for file in /etc/pip.conf "$invoker/.pip/pip.conf" "$invoker/.config/pip/pip.conf" "${PIP_CONFIG_FILE:-/dev/null}"; do
    if [ -f "$file" ]; then pip_files+=("$file"); fi
done
install -m 600 /dev/null "$room/srv/pip-environment"
number=0
for file in "${pip_files[@]}"; do
    case "$file" in
    /etc/pip.conf) place=/etc/pip.conf ;;
    */.config/pip/pip.conf) place=/home/$user/.config/pip/pip.conf ;;
    */.pip/pip.conf) place=/home/$user/.pip/pip.conf ;;
    *)
        place=/home/$user/.pip-$((number += 1)).conf
        echo "PIP_CONFIG_FILE=$place" >>"$room/srv/pip-environment"
        ;;
    esac
    mkdir -p "$(dirname "$room$place")"
    cp "$file" "$room$place"
done
for name in $(compgen -e PIP_ || true); do
    if [ "$name" != PIP_CONFIG_FILE ]; then printf '%s=%q\n' "$name" "${!name}" >>"$room/srv/pip-environment"; fi
done
cat "${pip_files[@]}" "$room/srv/pip-environment" | grep -oE '(^|[ =]|file://)/[^[:space:],;]+' | sed -E 's#^[ =]?(file://)?##' | sort -u |
    while read -r path; do
        # An index beside its files: pages in simple/ point outside it.
        if [ "$(basename "$path")" = simple ]; then path=$(dirname "$path"); fi
        if [ -d "$path" ]; then readlink -f "$path"; fi
    done | sort -u >"$room.binds" || true
chroot "$room" chown -R "$user:$user" "/home/$user" /srv/pip-environment

"${git[@]}" bundle create --quiet "$room/srv/qostui.bundle" HEAD
cp "$self" "$room/srv/steps"
chmod 644 "$room/srv/qostui.bundle" "$room/srv/steps"

code=0
unshare --mount --propagation private --pid --fork --kill-child /bin/bash "$self" --enter "$room" "$@" &
namespaces=$!
wait "$namespaces" || code=$?
namespaces=
exit "$code"
