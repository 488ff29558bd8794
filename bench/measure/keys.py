"""Key to the row itself, with 100,000 rows and 1,000 updates a second, beside the bare app and a DataTable."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

from ..apps import rows
from ..figures import Figure, percentile
from ..replay import CURSOR, Replay, key_moments, name_at
from ..run import Run, latencies, program
from ..terminal import SIZE, Terminal
from ..waiting import Screen

COUNT = 100_000
PRESSED = 100
"""Keys of each kind in each repetition."""
GAP = 0.08
DATATABLE_PRESSED, DATATABLE_GAP = 20, 0.2
DATATABLE_FREEZES = 120.0
"""A DataTable measures each new row on the screen's thread: 11 s and more at 100,000 rows."""
Look = Callable[[Replay], int | None]
PATIENCE = 20.0
"""Seconds after which a key is given up."""
SIGN = CURSOR.encode()
"""The first rows bring the cursor sign with them. (Later it is not written again where it stands already.)"""
BARE = "bare app, key to paint p95"


@lru_cache(maxsize=1)
def places() -> Mapping[str, int]:
    """DID -> the line of the whole table on which it stands, of the STUCK rules, which come first."""
    return {rows.did(rule): place for place, rule in enumerate(rows.order(rows.rules(COUNT)))}


def place(screen: Replay) -> int | None:
    """Where in the whole table the row under the console's cursor stands."""
    return places().get(name_at(screen, screen.cursor_line()))


def lit_place(screen: Replay) -> int | None:
    """The same for a DataTable, whose cursor is a background."""
    line = screen.lit_line()
    return places().get(screen.line(line).split(maxsplit=1)[0]) if line is not None and screen.line(line).strip() else None


def keys(run: Run) -> Iterator[Figure]:
    """Down and PgDn while rows change."""
    found: dict[str, list[float]] = {name: [] for name in ("down-p95", "down-p99", "pgdn-p95", "pgdn-p99")}
    for _ in range(run.repeat):
        with changing(run) as terminal:
            terminal.command("run")
            terminal.command("busy")
            terminal.listen(2.0)
            for key in ("down", "pgdn"):
                spent = walk(terminal, key, PRESSED, GAP)
                found[f"{key}-p95"].append(percentile(spent, 0.95))
                found[f"{key}-p99"].append(percentile(spent, 0.99))
    table = _datatable(run)
    for name, values in found.items():
        spent = table[name.partition("-")[0]]
        share = float(f"0.{name[-2:]}")
        yield Figure(name, tuple(values), {BARE: run.bare_key, "DataTable": (percentile(spent, share),)}, f"{PRESSED} keys a repetition")


def loaded(run: Run, size: tuple[int, int] = SIZE) -> Terminal:
    """The console with all its rows, at rest."""
    terminal = Terminal(program("apps.console", str(COUNT)), run.env(), size, control=True)
    try:
        show_rules(terminal)
    except BaseException:
        terminal.close()
        raise
    return terminal


def show_rules(terminal: Terminal) -> None:
    """Wait for all rows, bring their pane to the front, and wait until nothing moves."""
    screen = Screen(terminal)
    screen.wait(lambda shown: f"{COUNT:,}" in shown.text(), 120)
    terminal.send("2")
    # The tab counts what the feed has, the table's own line what the table has.
    screen.wait(lambda shown: shown.text().count(f"{COUNT:,}") >= 2 and shown.cursor_line() is not None, 120)
    terminal.settle(1.5, 120)


def changing(run: Run, size: tuple[int, int] = SIZE) -> Terminal:
    """The console with all its rows, ready to make changes as it is told; takes more memory than the console alone."""
    terminal = loaded(run, size)
    terminal.command("ready")
    terminal.listen(1.5)
    return terminal


def walk(terminal: Terminal, key: str, count: int, gap: float, look: Look = place, sign: bytes = b"") -> list[float]:
    """Press a key `count` times; milliseconds until each row stood under the cursor.

    A row that never did counts as PATIENCE; raises ValueError when the key does nothing. The first press, which is not
    counted, tells how far the key goes. A key that is pressed before the row of the one before it stood there has its own
    row to reach; `sign` is output to wait for before the pause between two keys.
    """

    def press() -> float:
        at = terminal.send(key)
        if sign:
            terminal.wait_for(sign, PATIENCE)
        terminal.listen(gap)
        return at

    watch = Watch(terminal, look)
    before = watch.place()
    press()
    start = watch.place_after(before)
    step = start - before
    if step < 1 or (key == "pgdn" and step < terminal.size[1] // 2):
        raise ValueError(f"{key} went {step} rows on")
    sent = [press() for _ in range(count)]
    watch.place_after(start + step * count - 1)
    return latencies(sent, watch.moments(sent, [start + step * (n + 1) for n in range(count)]), PATIENCE)


class Watch:
    """Looks at a terminal's record in the pauses of a run: which row stood under the cursor in each frame."""

    def __init__(self, terminal: Terminal, look: Look) -> None:
        self._terminal = terminal
        self._look = look
        self._frames: list[tuple[float, int | None]] = []
        self._replay = Replay(terminal.size)
        self._played = 0

    def place(self) -> int:
        """Where the cursor's row stands in the whole table by what has been recorded; raises ValueError without one."""
        self._play()
        found = self._look(self._replay)
        if found is None:
            raise ValueError(f"there is no row under a cursor on the screen:\n{self._replay.text()}")
        return found

    def place_after(self, other: int) -> int:
        """The same, once it is beyond `other` and half a second has passed; what it is when that takes too long."""
        end = time.perf_counter() + PATIENCE
        self._terminal.listen(0.5)
        while (found := self.place()) <= other and time.perf_counter() < end:
            self._terminal.listen(0.5)
        return found

    def moments(self, sent: list[float], reached: list[int]) -> list[float | None]:
        """When each key had its effect."""
        return key_moments(self._frames, sent, reached)

    def _play(self) -> None:
        new = self._terminal.chunks[self._played :]
        self._played = len(self._terminal.chunks)
        self._frames += [(at, self._look(self._replay)) for at in self._replay.frames(new)]


def datatable(run: Run, size: tuple[int, int] = SIZE) -> Terminal:
    """The DataTable with all its rows, at rest."""
    terminal = Terminal(program("apps.datatable", str(COUNT)), run.env(), size, control=True)
    try:
        terminal.wait_for(b"LOADED", DATATABLE_FREEZES)
        terminal.settle(1.0, DATATABLE_FREEZES)
    except BaseException:
        terminal.close()
        raise
    return terminal


def _datatable(run: Run) -> dict[str, list[float]]:
    """Once: it takes long and judges nothing."""
    with datatable(run) as terminal:
        terminal.command("busy")
        terminal.listen(3.0)
        return {key: walk(terminal, key, DATATABLE_PRESSED, DATATABLE_GAP, lit_place, b"m") for key in ("down", "pgdn")}
