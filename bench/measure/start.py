"""Start-up: what the command line costs, and how soon there are rows on the screen.

The first start of each kind is not counted: Python may have to compile after a change of the code.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence

from ..figures import Figure
from ..homes import unreachable
from ..replay import Replay, name_at
from ..run import BIN, CONSOLE, Run, first_paint
from ..terminal import Terminal
from .keys import SIGN


def version(run: Run) -> Iterator[Figure]:
    """CPU of `qostui --version` beside that of `rucio --version`."""
    env = run.env()
    ours, theirs = [], []
    for _ in range(2 * run.repeat):
        ours.append(_cpu([*CONSOLE, "--version"], env))
        theirs.append(_cpu([str(BIN / "rucio"), "--version"], env))
    yield Figure("version", tuple(ours), {"rucio --version": tuple(theirs)})


def _cpu(argv: Sequence[str], env: Mapping[str, str]) -> float:
    """Milliseconds on a processor of a command from start to end."""
    started = subprocess.Popen(argv, env=dict(env), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(started.pid, 0)
    started.returncode = os.waitstatus_to_exitcode(status)
    if started.returncode != 0:
        raise subprocess.CalledProcessError(started.returncode, list(argv))
    return (usage.ru_utime + usage.ru_stime) * 1e3


def kept(run: Run) -> Iterator[Figure]:
    """Start to the rows of the last run, the server out of reach."""
    home = run.home()
    home.add("away", unreachable())
    names = set(home.keep_rows("away"))

    def shows(screen: Replay) -> bool:
        return name_at(screen, screen.cursor_line()) in names

    values = []
    for _ in range(1 + run.repeat):
        with Terminal(CONSOLE, home.env) as terminal:
            terminal.wait_for(b"SITE-20", 30)
            terminal.settle(0.2)
            values.append(first_paint(terminal, shows))
        home.keep_rows("away")
    yield Figure("start-kept", tuple(values[1:]), {"bare app, first paint": run.bare_start})


def live(run: Run) -> Iterator[Figure]:
    """Start to the first rows that the server gave, with a token of the run before."""
    home = run.home()
    home.add("live", run.server.address, run.server)
    home.log_in(CONSOLE, "live")

    def shows(screen: Replay) -> bool:
        return bool(name_at(screen, screen.cursor_line()))

    values = []
    for _ in range(1 + run.repeat):
        home.forget_rows()
        with Terminal(CONSOLE, home.env) as terminal:
            terminal.wait_for(SIGN, 30)
            terminal.settle(0.2)
            values.append(first_paint(terminal, shows))
    yield Figure("start-live", tuple(values[1:]), {"bare app, first paint": run.bare_start}, note="RSEs, none kept")
