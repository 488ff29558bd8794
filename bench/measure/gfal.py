"""gfal2 in a process of its own: what its start costs beside a bare import, and how long one that hangs takes to kill."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

from qostui.adapters.gfal import NOBODY, Bearing, Worker, pythons
from qostui.domain.errors import Problem

from ..figures import Figure
from ..run import Run

HANGS = "mock://hangs/p?size=1&wait=60"
"""gfal2's mock plug-in answers after a minute."""
LIMIT_S = 0.2


def gfal(run: Run) -> Iterator[Figure]:
    """Start of a gfal2 worker to its first answer, and the end of one that hangs."""
    starts, imports, kills = [], [], []
    for _ in range(1 + run.repeat):
        started = time.monotonic()
        subprocess.run([pythons()[0], "-s", "-c", "import gfal2"], check=True, env={})
        imports.append((time.monotonic() - started) * 1e3)
        worker = Worker(Bearing(NOBODY))
        started = time.monotonic()
        worker.call("ping", 20)
        starts.append((time.monotonic() - started) * 1e3)
        kills.append(_kill(worker))
    yield Figure("gfal-start", tuple(starts[1:]), {"python3 -c 'import gfal2'": tuple(imports[1:])})
    yield Figure("gfal-kill", tuple(kills[1:]), {})


def _kill(worker: Worker) -> float:
    """Milliseconds from the time limit of a call that hangs until its worker is gone and the caller knows."""
    started = time.monotonic()
    try:
        worker.call("stat", LIMIT_S, url=HANGS)
    except Problem:
        return (time.monotonic() - started - LIMIT_S) * 1e3
    finally:
        worker.close()
    raise ValueError("gfal2's mock plug-in answered at once: nothing hung")
