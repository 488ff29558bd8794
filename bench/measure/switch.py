"""Profile switch to the first live rows, beside the same calls by one HTTP session."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from ..figures import Figure
from ..replay import Replay, name_at
from ..run import CONSOLE, Run, program
from ..terminal import Terminal
from .keys import SIGN

SETTLED = 6.0
"""Seconds for the profile that is left to have read its first listings."""


def switch(run: Run) -> Iterator[Figure]:
    """From the key that chooses the profile to its first RSE; nothing of it is kept but the token."""
    home = run.home()
    for name in ("one", "two"):
        home.add(name, run.server.address, run.server)
        token = home.log_in(CONSOLE, name)
    values, plain = [], []
    for _ in range(run.repeat):
        home.forget_rows()
        with Terminal(CONSOLE, home.env) as terminal:
            terminal.wait_for(SIGN, 30)
            terminal.listen(SETTLED)
            terminal.send("ctrl+t")
            terminal.listen(0.5)
            terminal.send("down")
            terminal.listen(0.3)
            asked = terminal.send("enter")
            terminal.wait_for(SIGN, 30)
            terminal.listen(1.5)
            values.append(1e3 * (_arrived(terminal, asked) - asked))
        argv = program("apps.http_session", run.server.address, str(home.directory / "ca.pem"))
        done = subprocess.run(argv, env=home.env, input=token, check=True, capture_output=True, text=True, timeout=60)
        plain.append(float(done.stdout))
    yield Figure("switch", tuple(values), {"one HTTP session": tuple(plain)}, "RSEs, none kept")


def _arrived(terminal: Terminal, asked: float) -> float:
    """The first frame after the key with an RSE of the other profile under the cursor.

    A frame with its header and without rows comes before: both profiles have the same RSEs, and old ones must not count.
    """
    screen = Replay(terminal.size)
    emptied = False
    for at in screen.frames(terminal.chunks):
        if at <= asked or " two " not in screen.line(0) or "Switch to a profile" in screen.text():
            continue
        if not name_at(screen, screen.cursor_line()):
            emptied = True
        elif emptied:
            return at
    raise ValueError(f"the rows of the other profile did not come (pane seen empty: {emptied})")
