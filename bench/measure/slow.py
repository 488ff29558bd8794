"""Keys over a thin, far line: 256 kbit/s and 150 ms each way, with the settings that an SSH connection brings."""

from __future__ import annotations

from collections.abc import Iterator

from ..figures import Figure, percentile
from ..run import Run, program
from ..slow_line import DELAY
from ..terminal import Terminal
from .keys import COUNT, show_rules, walk

PRESSED = {"down": 60, "pgdn": 15}
GAP = 0.5
SSH = {"SSH_CONNECTION": "192.0.2.7 50022 192.0.2.1 22"}


def slow(run: Run) -> Iterator[Figure]:
    """Down, and PgDn for information, with 1,000 updates a second."""
    found: dict[str, list[float]] = {key: [] for key in PRESSED}
    for _ in range(run.repeat):
        argv = program("slow_line", "--", *program("apps.console", str(COUNT)))
        with Terminal(argv, run.env(SSH), control=True) as terminal:
            show_rules(terminal)
            terminal.command("ready")
            terminal.listen(1.5)
            terminal.command("run")
            terminal.command("busy")
            terminal.listen(3.0)
            for key, count in PRESSED.items():
                found[key].append(percentile(walk(terminal, key, count, GAP), 0.95))
    trips = (2 * 2 * DELAY * 1e3,)
    yield Figure("slow-line", tuple(found["down"]), {"two round trips": trips}, f"{PRESSED['down']} keys a repetition")
    yield Figure("slow-line-pgdn", tuple(found["pgdn"]), {"two round trips": trips}, "told, not judged")
