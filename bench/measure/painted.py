"""What is written to the terminal and what painting costs: one changed cell, rows refreshed each second, a hidden pane."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from functools import partial

from ..figures import Figure
from ..run import Run
from ..terminal import Terminal
from .keys import changing, datatable

SIZES = {"bytes-120x40": (120, 40), "bytes-200x60": (200, 60)}
IDLE_FOR = 10.0
HIDDEN_FOR = 10.0
QUIET = 1.5
HIGHLIGHTED = 1.5
"""Seconds for which the console lights a changed cell; all that is written meanwhile counts."""


def cell_bytes(run: Run) -> Iterator[Figure]:
    """Bytes for one changed cell: its paint, and the paint that takes its highlight away again."""
    for name, size in SIZES.items():
        with changing(run, size) as terminal:
            _console_cell(terminal)
            values = [_console_cell(terminal) for _ in range(run.repeat)]
        with datatable(run, size) as terminal:
            theirs = statistics.median(_after(terminal, "cell", HIGHLIGHTED) for _ in range(3))
        yield Figure(name, tuple(values), {"DataTable": (theirs,)}, "with the end of its highlight")


def _console_cell(terminal: Terminal) -> float:
    """The clock stands, so that nothing else is written; what a step of it costs (the header shows it) is taken off."""
    clock = _after(terminal, "tick 2", QUIET)
    painted = _after(terminal, "cell", HIGHLIGHTED)
    if painted == 0:
        raise ValueError("nothing was painted for a changed cell")
    return painted + max(0, _after(terminal, "tick 2", QUIET) - clock)


def _after(terminal: Terminal, command: str, seconds: float) -> float:
    terminal.command(command)
    return float(terminal.listen(seconds))


def idle(run: Run) -> Iterator[Figure]:
    """CPU with 40 rows refreshed each second, in per cent of one processor."""
    ours = _shares(partial(changing, run), run.repeat, clock=True)
    theirs = _shares(partial(datatable, run), 1, clock=False)
    yield Figure("idle", ours, {"DataTable": theirs})


def _shares(start: Callable[[], Terminal], repeat: int, *, clock: bool) -> tuple[float, ...]:
    with start() as terminal:
        if clock:
            terminal.command("run")
        terminal.command("refresh")
        terminal.listen(3.0)
        shares = []
        for _ in range(repeat):
            before = terminal.cpu()
            if terminal.listen(IDLE_FOR) == 0:
                raise ValueError("nothing was painted while rows were refreshed")
            shares.append(100 * (terminal.cpu() - before) / IDLE_FOR)
    return tuple(shares)


def hidden(run: Run) -> Iterator[Figure]:
    """Bytes written for 1,000 changes a second in a pane that is not seen."""
    values = []
    with changing(run) as terminal:
        terminal.send("1")
        terminal.settle(1.0)
        terminal.command("busy")
        for _ in range(run.repeat):
            values.append(float(terminal.listen(HIDDEN_FOR)))
    yield Figure("hidden", tuple(values))
