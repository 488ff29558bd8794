"""Where a lake lives by default, and as whom its services run."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

_SYSTEM_STATE = Path("/var/lib/qostui/lake")
_SERVICE_USERS = ("xrootd", "nobody")
"""Unprivileged accounts that run the services when root installs; Debian's xrootd-server brings the first."""


def default_state() -> Path:
    """`$QOSTUI_LAKE`, else a system place for root (a service user must reach it), else below XDG_STATE_HOME."""
    if named := os.environ.get("QOSTUI_LAKE"):
        return Path(named).absolute()
    if os.geteuid() == 0:
        return _SYSTEM_STATE
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "qostui" / "lake"


def service_user() -> str:
    """The account all services run as: the caller, or an unprivileged account when the caller is root.

    Raises KeyError when the caller's uid has no name (GridFTP's grid-mapfile needs one).
    """
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    for name in _SERVICE_USERS:
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise KeyError("neither of the accounts " + ", ".join(_SERVICE_USERS) + " exists")


def lock_file(rucio: str) -> Path:
    """The pinned requirements of the lake's environment; raises FileNotFoundError for a version without them."""
    package = Path(__file__).resolve().parent.parent
    for place in (package / "_locks", package.parent / "locks"):
        candidate = place / f"lake-{rucio}.txt"
        if candidate.exists():
            return candidate
    raise FileNotFoundError(f"no requirements for Rucio {rucio}")
