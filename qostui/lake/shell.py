"""The environment that lets the real clients work against the lake: `eval "$(qostui lake env)"`."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import tempfile
from pathlib import Path

from .inside import topology
from .inside.state import State, issuer, url


def variables(state: State) -> dict[str, str]:
    """Variable -> value for rucio, gfal2, XRootD, VOMS and GridFTP clients.

    No CA-bundle variables: they would break pip and git in that shell. No secret: only names of files. Root gets a
    proxy file of its own, written anew at each call.
    """
    facts = state.read()
    return {
        "QOSTUI_LAKE": str(state.root),
        "RUCIO_CONFIG": str(state.client / "etc" / "rucio.cfg"),
        "RUCIO_HOME": str(state.client),
        "X509_CERT_DIR": str(state.certificates),
        "X509_VOMS_DIR": str(state.vomsdir),
        "X509_USER_PROXY": str(_own(state.proxy("alice"), state.root / "shell")),
        "VOMS_USERCONF": str(state.vomses),
        "GFAL_PYTHONBIN": "/usr/bin/python3",
        "XRD_CONNECTIONWINDOW": "5",
        "XRD_CONNECTIONRETRY": "1",
        "XRD_REQUESTTIMEOUT": "30",
        "XRD_STREAMTIMEOUT": "20",
        "XRD_TIMEOUTRESOLUTION": "1",
        "XrdSecGSISRVNAMES": topology.HOST,
        "XrdSecGSIDELEGPROXY": "2",
        "QOSTUI_LAKE_RUCIO": url(facts, "rucio"),
        "QOSTUI_LAKE_FTS": url(facts, "fts"),
        "QOSTUI_LAKE_ISSUER": issuer(facts),
        "QOSTUI_LAKE_CA": str(state.ca),
    }


def _own(proxy: Path, place: Path) -> Path:
    """The proxy, or for root a copy in `place`: Globus takes no credential that belongs to someone else, not even as root.

    Where `place` is not a directory of root's alone, the proxy itself: nothing is written where others could redirect it.
    """
    if os.geteuid() != 0 or not proxy.exists() or proxy.stat().st_uid == 0:
        return proxy
    place.mkdir(mode=0o700, exist_ok=True)
    held = place.lstat()
    if not stat.S_ISDIR(held.st_mode) or held.st_uid != 0 or held.st_mode & 0o077:
        return proxy
    descriptor, temporary = tempfile.mkstemp(prefix=".proxy-", dir=place)
    with os.fdopen(descriptor, "wb") as copy, proxy.open("rb") as original:
        shutil.copyfileobj(original, copy)
    return Path(temporary).replace(place / proxy.name)


def script(state: State) -> str:
    """The variables as lines for a POSIX shell."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables(state).items())
