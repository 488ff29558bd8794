"""The big Rucio catalogue that the stream is measured on: made once by `fill_catalogue`, kept, made anew when it is not right.

It lies in a lake of its own below `build/bench`, or, where the service user cannot get there, beside the default lake.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qostui.lake import control, install, places
from qostui.lake.inside.state import Facts, State, url

Say = Callable[[str], None]
CHECKOUT = Path(__file__).resolve().parent.parent
_FILLER = Path(__file__).with_name("fill_catalogue.py")


def state() -> State:
    """Where the benchmark's lake is or will be."""
    near = CHECKOUT / "build" / "bench" / "lake"
    near.parent.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0 and not all(parent.stat().st_mode & stat.S_IXOTH for parent in near.parents):
        return State(places.default_state().parent / "bench-lake")
    return State(near)


def prepared(say: Say) -> State:
    """The lake with its filled catalogue, stopped; takes about a minute when it has to be made. Raises InstallError, LakeError."""
    made = state()
    install.install(made, say, like=State(places.default_state()), empty=True)
    facts = made.read()
    wanted = hashlib.sha256(_FILLER.read_bytes() + facts.fingerprint.encode()).hexdigest()
    stamp = made.root / "catalogue.sha256"
    if stamp.exists() and stamp.read_text() == wanted:
        return made
    stamp.unlink(missing_ok=True)
    say("filling the catalogue")
    began = time.perf_counter()
    control.reset(made, say)
    _fill(made, facts)
    stamp.write_text(wanted)
    say(f"filled in {time.perf_counter() - began:.0f} s")
    return made


def _fill(made: State, facts: Facts) -> None:
    with _FILLER.open("rb") as program:
        subprocess.run(
            [str(made.python), "-P", "-", str(made.database), url(facts, "fts")],
            stdin=program,
            cwd=made.root,
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            check=True,
            **as_service(facts),
        )


def as_service(facts: Facts) -> dict[str, Any]:
    """Arguments that make a child of root run as the lake's service user; none for an ordinary user."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam(facts.user)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
