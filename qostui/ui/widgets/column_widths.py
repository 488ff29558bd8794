"""How the cells of a line are shared among the columns of a table."""

from __future__ import annotations

from collections.abc import Sequence

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


def fill(widths: Sequence[int | None], room: int) -> list[int]:
    """The width of each column in `room` cells; more than `room` in all when it is too little (the table then scrolls)."""
    given = [width or 0 for width in widths]
    open_ended = [index for index, width in enumerate(widths) if width is None]
    if not open_ended:
        return given
    rest = room - sum(given)
    wanted = WANTED * len(open_ended)
    for _ in range(max(0, wanted - rest)):
        index = max(range(len(given)), key=lambda at: given[at] if (widths[at] or 0) >= LONG else 0)
        if (widths[index] or 0) < LONG or given[index] <= SHORTEST:
            break
        given[index] -= 1
        rest += 1
    spare = rest - ENOUGH * len(open_ended)
    for index, width in enumerate(widths):
        if spare > 0 and width is not None and width >= LONG:
            more = min(STRETCH, spare)
            given[index] += more
            spare, rest = spare - more, rest - more
    rest = max(rest, NARROWEST * len(open_ended))
    for number, index in enumerate(open_ended):
        given[index] = rest // (len(open_ended) - number)
        rest -= given[index]
    return given
