"""Paints the lines of a live table and knows what stands on the screen, so that only cells that differ are painted again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from ...domain.sort import Order
from ...domain.table import Layout, Row, View
from ..ink import Inks, fit, inks
from .columns import GUTTER, Placed, place

R = TypeVar("R", bound=Row)

Look = tuple[str, str]
"""What a cell shows: its text and the name of its ink."""
HIGHLIGHT = timedelta(seconds=1.5)
"""How long a changed cell is lit at least: it is put out at the first look after that, so that no look is taken for it alone."""
KEPT_LINES = 400
"""Lines whose painted texts are remembered, those painted last; more than the tallest terminal shows."""


class TablePainter(Generic[R]):
    """Turns rows into strips of exactly the table's width.

    The first column stays where it is; the others move under it when the table is scrolled sideways.
    """

    def __init__(self, widget: Widget, view: View[R], now: datetime) -> None:
        self.view = view
        self.now = now
        self.placed: list[Placed[R]] = []
        self.width = 0
        """Cells of a whole line, before it is cut to the table's width."""
        self.highlights: dict[tuple[str, str], datetime] = {}
        """(key, column id) of lit cells, and until when."""
        self._widget = widget
        self._fades_at = now
        """Nothing is to be put out before."""
        self._inks = Inks({})
        self._lit = Style()
        self._painted: dict[str, tuple[Look, ...]] = {}
        self._present: dict[str, tuple[R, datetime, tuple[Look, ...]]] = {}
        self._placed_for: tuple[int, int, Layout] | None = None

    # --- where columns are -----------------------------------------------------------------------------------

    def arrange(self, room: int, terminal: int, layout: Layout) -> bool:
        """Place the columns for this size; says whether they stood otherwise."""
        wanted = (room, terminal, layout)
        if wanted == self._placed_for:
            return False
        self._placed_for = wanted
        self.placed = place(self.view.columns, layout, terminal, room)
        self.width = self.placed[-1].end
        self._painted.clear()
        self._present.clear()
        return True

    def cells_of(self, placed: Placed[R], left: int) -> tuple[int, int]:
        """First visible cell of a column and how many are visible, when the table is scrolled by `left` cells."""
        first = self.placed[0]
        if placed is first:
            return placed.x, placed.width
        start = max(placed.x - left, first.end)
        return start, max(0, placed.end - left - start)

    def begin(self) -> None:
        """Look up what the lines of one update have in common."""
        self._inks = inks(self._widget.app)
        self._lit = self._widget.get_component_rich_style("table--changed", partial=True)

    # --- lines -----------------------------------------------------------------------------------------------

    def header(self, style: Style, order: Order, letters: bool, left: int, width: int) -> Strip:
        """The line of labels: an arrow at the column that sorts, or the letters that may be pressed."""
        first, descending = order[0] if order else ("", False)
        hint = style + self._inks["warning bold"]
        cells: list[Segment] = []
        for placed in self.placed:
            column = placed.column
            label, ground = column.label, style
            if letters and column.letter:
                label, ground = f"{column.letter}·{label}", hint
            elif column.id == first and label:
                label = f"{label} {'▼' if descending else '▲'}"
            cells.append(Segment(fit(label, placed.width, column.align), ground))
        return self._line([Segment(" " * GUTTER, style)], cells, style, left, width)

    def row(self, key: str, row: R, style: Style, cursor: bool, marked: bool, left: int, width: int) -> Strip:
        """The line of one row; its texts are remembered as painted."""
        styles = self._inks
        looks = self._remember(key, row)
        # Blanks get no ink: where the line is reversed it would be their ground.
        gutter = [
            Segment("▌", style + styles["primary"]) if cursor else Segment(" ", style),
            Segment("✓", style + styles["bold accent"]) if marked else Segment(" ", style),
        ]
        cells: list[Segment] = []
        for placed, (text, name) in zip(self.placed, looks, strict=True):
            column = placed.column
            ground = style + styles[name] if name and text else style
            if (key, column.id) in self.highlights:
                ground = ground + self._lit
            cells.append(Segment(fit(text, placed.width, column.align), ground))
        return self._line(gutter, cells, style, left, width)

    def _line(self, gutter: list[Segment], cells: Sequence[Segment], style: Style, left: int, width: int) -> Strip:
        """Gutter and first column, then the others from cell `left` on."""
        x = self.placed[0].end
        moving: list[Segment] = []
        for placed, segment in zip(self.placed[1:], cells[1:], strict=True):
            moving += (Segment(" " * (placed.x - x), style), segment)
            x = placed.end
        if not left and x <= width:
            return Strip([*gutter, cells[0], *moving, Segment(" " * (width - x), style)], width)
        fixed = Strip([*gutter, cells[0]], self.placed[0].end)
        room = width - fixed.cell_length
        if room <= 0:
            return fixed.crop_extend(0, width, style)
        return Strip.join([fixed, Strip(moving).crop_extend(left, left + room, style)])

    # --- what has changed ------------------------------------------------------------------------------------

    def looks(self, key: str, row: R) -> tuple[Look, ...]:
        """What the cells of a row show at the present moment; worked out once for each row and moment."""
        known = self._present.get(key)
        if known is not None and known[0] is row and known[1] is self.now:
            return known[2]
        now = self.now
        looks = tuple(
            [
                (placed.column.text(row, now), placed.column.style(row, now) if placed.column.style is not None else "")
                for placed in self.placed
            ]
        )
        if len(self._present) >= KEPT_LINES:
            self._present.clear()
        self._present[key] = (row, now, looks)
        return looks

    def _remember(self, key: str, row: R) -> tuple[Look, ...]:
        looks = self.looks(key, row)
        self._painted.pop(key, None)
        if len(self._painted) >= KEPT_LINES:
            del self._painted[next(iter(self._painted))]
        self._painted[key] = looks
        return looks

    def differing(self, key: str, row: R) -> list[Placed[R]] | None:
        """Columns of a row that look otherwise than they were painted; None when the row never was painted."""
        painted = self._painted.get(key)
        if painted is None or len(painted) != len(self.placed):
            return None
        looks = self.looks(key, row)
        return [placed for placed, old, new in zip(self.placed, painted, looks, strict=True) if old != new] if looks != painted else []

    def light(self, key: str, old: R, new: R) -> None:
        """Light the cells of a row into which another value came; time that only passed lights nothing."""
        for placed in self.differing(key, new) or ():
            text = placed.column.text
            if text(old, self.now) != text(new, self.now):
                self.highlights[key, placed.column.id] = self.now + HIGHLIGHT

    def thumb(self, page: int, total: int, top: int) -> range:
        """Lines of a page, counted from 0, that the thumb of the scroll bar covers; none when all rows are on the page."""
        if page <= 0 or total <= page:
            return range(0)
        length = max(1, page * page // total)
        start = round((page - length) * min(1.0, top / (total - page)))
        return range(start, start + length)

    def bar(self, covered: bool, style: Style) -> Segment:
        """The last cell of a line."""
        return Segment("█", style + self._inks["scroll"]) if covered else Segment(" ", style)

    def fade(self) -> list[tuple[str, Placed[Any]]]:
        """Put out what was lit long enough; the cells that have to be painted again for it."""
        if self.now < self._fades_at or not self.highlights:
            return []
        over = [item for item, until in self.highlights.items() if until <= self.now]
        for item in over:
            del self.highlights[item]
        self._fades_at = min(self.highlights.values(), default=self.now)
        by_id = {placed.column.id: placed for placed in self.placed}
        return [(key, by_id[column]) for key, column in over if column in by_id]
