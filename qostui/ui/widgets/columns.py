"""The columns of a table on the screen: which are shown, where each begins, how wide it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ...domain.table import Column, Layout, Row

R = TypeVar("R", bound=Row)

GUTTER = 2
"""Cells in front of the first column, for the cursor and the mark."""
NARROWEST = 12
"""A column without a width gets at least so many cells."""
WANTED = 26
"""Long columns are cut shorter until a column without a width has so many."""
ENOUGH = 64
"""What a column without a width does not need beyond this goes to the long ones."""
LONG = 24
"""Columns of at least this width hold names: they may be cut or stretched."""
SHORTEST = 16
STRETCH = 20
ROOM = {1: 0, 2: 100, 3: 140}
"""Columns of terminal from which on a priority is shown."""


@dataclass(frozen=True, slots=True)
class Placed(Generic[R]):
    """A column on the screen: first cell (before scrolling) and width."""

    column: Column[R]
    x: int
    width: int

    @property
    def end(self) -> int:
        """The cell behind it."""
        return self.x + self.width


def chosen(columns: Sequence[Column[R]], layout: Layout, terminal: int) -> list[Column[R]]:
    """The columns that are shown on a terminal of so many cells: by priority, and as the layout says; the first always."""

    def shown(column: Column[R]) -> bool:
        if column.id in layout.hidden:
            return False
        return column.id in layout.shown or terminal >= ROOM.get(column.priority, max(ROOM.values()))

    return [column for place, column in enumerate(columns) if place == 0 or shown(column)]


def place(columns: Sequence[Column[R]], layout: Layout, terminal: int, room: int) -> list[Placed[R]]:
    """Each shown column with its place, in `room` cells; beyond them where that is too little (the table then scrolls)."""
    gap = 1 if terminal < 140 else 2
    kept = chosen(columns, layout, terminal)
    fixed = {name for name, _ in layout.widths}
    widths = fill([layout.width(column) for column in kept], [column.id in fixed for column in kept], room - GUTTER - gap * (len(kept) - 1))
    placed = []
    x = GUTTER
    for column, width in zip(kept, widths, strict=True):
        placed.append(Placed(column, x, width))
        x += width + gap
    return placed


def fill(widths: Sequence[int | None], fixed: Sequence[bool], room: int) -> list[int]:
    """The width of each column in `room` cells; more than `room` in all when it is too little. `fixed` ones stay as they are."""
    given = [width or 0 for width in widths]
    open_ended = [index for index, width in enumerate(widths) if width is None]
    if not open_ended:
        return given
    elastic = [index for index, width in enumerate(widths) if width is not None and width >= LONG and not fixed[index]]
    rest = room - sum(given)
    for _ in range(max(0, WANTED * len(open_ended) - rest)):
        longest = max(elastic, key=lambda at: given[at], default=None)
        if longest is None or given[longest] <= SHORTEST:
            break
        given[longest] -= 1
        rest += 1
    spare = rest - ENOUGH * len(open_ended)
    for index in elastic:
        more = min(STRETCH, max(0, spare))
        given[index] += more
        spare, rest = spare - more, rest - more
    rest = max(rest, NARROWEST * len(open_ended))
    for number, index in enumerate(open_ended):
        given[index] = rest // (len(open_ended) - number)
        rest -= given[index]
    return given
