"""The live table: paints the visible lines only, over row objects that it shares with the store.

Data comes in by `apply` and `set_view`; all else is painting and the cursor. `virtual_size` is set silently, because
Textual 8.2.8 lays the whole screen out again when it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from threading import Thread
from typing import Any, Generic

from rich.segment import Segment
from rich.style import Style
from textual import on
from textual.binding import Binding
from textual.events import Blur, Focus, Key, MouseScrollDown, MouseScrollUp, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from ...domain.query import Filter
from ...domain.sort import Order
from ...domain.table import Layout, View
from ...services.feeds import Changes
from ...services.table_model import AT_ONCE, R, Rearrangement, TableModel
from ..ink import Piece, cells, strip, wall, wrap
from .columns import Placed
from .direct import DirectLines
from .table_painter import TablePainter

SAME_MOMENT = timedelta(milliseconds=50)
LOOK_EVERY = timedelta(seconds=0.9)
"""How often ages and times left are looked at, if nothing else happens: once a second, by one who is never quite on time."""

WHEEL = 3
"""Rows for one notch of the mouse's wheel."""


class LiveTable(DirectLines, ScrollView, Generic[R], can_focus=True, inherit_bindings=False):
    """A table of one view, with a cursor that stays on its row, marks, sort and filter."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES = {"table--header", "table--cursor", "table--cursor-blurred", "table--changed", "table--unconfirmed"}
    DEFAULT_CSS = """
    LiveTable { height: 1fr; width: 1fr; overflow: hidden; background: $background; }
    LiveTable > .table--header { color: $heading; text-style: bold; background: $panel; }
    LiveTable > .table--cursor { background: $cursor; }
    LiveTable > .table--cursor-blurred { background: $cursor-blurred; }
    LiveTable > .table--changed { background: $changed; }
    LiveTable > .table--unconfirmed { text-style: dim; }
    LiveTable:ansi > .table--cursor { text-style: reverse; background: ansi_default; }
    LiveTable:ansi > .table--cursor-blurred { text-style: underline; background: ansi_default; }
    LiveTable:ansi > .table--changed { text-style: bold; background: ansi_default; }
    LiveTable:ansi > .table--header { text-style: bold underline; background: ansi_default; }
    """
    BINDINGS = [
        Binding("enter,d", "open", "detail", id="table.open"),
        Binding("s", "ask_column('sort')", "sort", id="table.sort"),
        Binding("space", "mark", "mark", id="table.mark"),
        Binding("y", "ask_column('copy')", "copy one cell: then the letter of a column", show=False, id="table.copy-cell"),
        Binding("down,j", "move(1)", "next row", show=False, id="table.down"),
        Binding("up,k", "move(-1)", "row before", show=False, id="table.up"),
        Binding("pagedown", "page(1)", "page down", show=False, id="table.page-down"),
        Binding("pageup", "page(-1)", "page up", show=False, id="table.page-up"),
        Binding("home,g", "edge(0)", "first row", show=False, id="table.first"),
        Binding("end,G", "edge(1)", "last row", show=False, id="table.last"),
        Binding("right,l", "shift(8)", "columns to the right", show=False, id="table.right"),
        Binding("left,h", "shift(-8)", "columns to the left", show=False, id="table.left"),
    ]

    class Opened(Message):
        """The row under the cursor was chosen."""

    class Moved(Message):
        """Another row is under the cursor, or it was replaced."""

    class Arranged(Message):
        """Filter, sort order or marks changed, or the table waits for the letter of a column."""

    class CellChosen(Message):
        """The text of one cell is wanted on the clipboard."""

        def __init__(self, label: str, text: str) -> None:
            super().__init__()
            self.label = label
            self.text = text

    class Rearranged(Message):
        """A thread has filtered and sorted all rows anew."""

        def __init__(self, done: Rearrangement[Any]) -> None:
            super().__init__()
            self.done = done

    def __init__(self, view: View[R], now: Callable[[], datetime], layout: Layout | None = None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.view = view
        self.model: TableModel[R] = TableModel(view)
        self.waits_for = ""
        """`sort` or `copy` while the next key names a column, else ""."""
        self._clock = now
        self._layout = layout or Layout()
        self._painter: TablePainter[R] = TablePainter(self, view, now())
        self._looked_at = self._painter.now
        self._applied_at: datetime | None = None
        self._cursor = 0
        self._cursor_key: str | None = None
        self._pinned = False
        self._notice: list[list[Piece]] = []
        self._stale: list[Region] = []
        """What is to be painted again, gathered while a batch is taken in: Textual is told once."""
        self._ground = Style()
        """Looked up anew for each update."""
        self._painted_thumb = range(0)
        self._room = self._page = 0
        """Cells of a line without the scroll bar, and lines without the header."""

    # --- data in ---------------------------------------------------------------------------------------------

    def apply(self, changes: Changes[R]) -> None:
        """Take in a batch and repaint the visible lines that it changed."""
        now = self._painter.now = self._applied_at = self._clock()
        self._arrange()
        before = self._visible()
        was_empty = not len(self.model)
        unconfirmed = self.model.unconfirmed
        applied = self.model.apply(changes, now)
        for key in before:
            if (old := applied.replaced.get(key)) is not None and (new := self.model.rows.get(key)) is not None:
                self._painter.light(key, old, new)
        if applied.moved:
            self._settle()
            if was_empty or not len(self.model):
                self.refresh()
                return
        after = self._visible()
        flipped = frozenset() if unconfirmed is self.model.unconfirmed else unconfirmed ^ self.model.unconfirmed
        for line, key in enumerate(after):
            if line >= len(before) or before[line] != key or key in flipped:
                self._refresh_line(line)
            elif key in applied.replaced:
                self._refresh_cells(line, key)
        for line in range(len(after), len(before)):
            self._refresh_line(line)
        self._refresh_stale()
        if self._cursor_key in applied.replaced:
            self.post_message(self.Moved())

    def set_view(self, *, wanted: Filter | None = None, order: Order | None = None) -> None:
        """Filter and sort anew; the cursor stays on its row if that is still shown.

        With many rows the work is done in a thread, and the table shows the old view until it is done.
        """
        now = self._painter.now = self._clock()
        job = self.model.rearrange(
            now, wanted=self.model.filter if wanted is None else wanted, order=self.model.order if order is None else order
        )
        if job.size <= AT_ONCE:
            job.run(rest=False)
            self._show(job)
        else:
            Thread(target=self._rearrange, args=(job,), name="rearrange", daemon=True).start()
            self.post_message(self.Arranged())

    def _rearrange(self, job: Rearrangement[R]) -> None:
        job.run(rest=True)
        if job.wanted:
            self.post_message(self.Rearranged(job))

    @on(Rearranged)
    def _rearranged(self, event: Rearranged) -> None:
        event.stop()
        self._show(event.done)

    def _show(self, job: Rearrangement[R]) -> None:
        self._painter.now = self._clock()
        if self.model.take(job, self._painter.now):
            self._settle()
            self.refresh()
            self.post_message(self.Arranged())

    def set_notice(self, lines: Sequence[Sequence[Piece]]) -> None:
        """What is painted in the table's place while it has no rows."""
        notice = [list(line) for line in lines]
        if notice != self._notice:
            self._notice = notice
            if not len(self.model):
                self.refresh()

    def set_layout(self, layout: Layout) -> None:
        """Show, hide and size the columns as a person wants them."""
        self._layout = layout
        self._arrange()
        self.refresh()

    def tick(self) -> None:
        """Let ages count and highlights fade: repaints only the cells whose text is another one now."""
        now = self._clock()
        if abs(now - self._painter.now) >= SAME_MOMENT:  # else what was just looked at still holds
            self._painter.now = now
        for key, placed in self._painter.fade():
            index = self.model.index(key)
            if index is not None:
                self._refresh_cell(index - int(self.scroll_offset.y), placed)
        # A batch that was just taken in has worked out most of it: then it is a good moment, though it is a little early.
        if abs(self._painter.now - self._looked_at) >= (LOOK_EVERY / 2 if self._applied_at is self._painter.now else LOOK_EVERY):
            self._looked_at = self._painter.now
            if self._arrange():
                self._show_cursor()
                self.refresh()
                return
            for line, key in enumerate(self._visible()):
                self._refresh_cells(line, key)
        self._refresh_stale()

    # --- what is where ---------------------------------------------------------------------------------------

    @property
    def has_only_bindings(self) -> bool:
        """No key means anything to the table but by its bindings."""
        return not self.waits_for

    @property
    def cursor_key(self) -> str | None:
        """Key of the row under the cursor."""
        return self._cursor_key

    @property
    def cursor_row(self) -> R | None:
        """The row under the cursor."""
        return self.model.rows.get(self._cursor_key) if self._cursor_key is not None else None

    def texts(self, key: str) -> list[str]:
        """The texts of all columns of a row, hidden ones too, without padding."""
        row = self.model.rows[key]
        return [wall(column.text(row, self._painter.now)).strip() for column in self.view.columns]

    def plain(self, key: str) -> str:
        """All columns of a row as one text, two spaces between."""
        return "  ".join(text for text in self.texts(key) if text)

    def separated(self) -> str:
        """All rows that are shown, in their order, with a header line; tabs between the columns."""
        lines = [[column.label or column.id for column in self.view.columns]]
        lines += [self.texts(key) for key in self.model.keys(0, len(self.model))]
        return "\n".join("\t".join(line) for line in lines)

    @property
    def columns_shown(self) -> tuple[str, ...]:
        """Ids of the columns that are not hidden for want of room or by wish."""
        return tuple(placed.column.id for placed in self._painter.placed)

    @property
    def lit_cells(self) -> int:
        """How many cells have just changed."""
        return len(self._painter.highlights)

    @property
    def lit(self) -> set[tuple[str, str]]:
        """(key, column id) of the cells that have just changed."""
        return set(self._painter.highlights)

    @property
    def _thumb(self) -> range:
        return self._painter.thumb(self._page, len(self.model), int(self.scroll_offset.y))

    def _visible(self) -> list[str]:
        top = int(self.scroll_offset.y)
        return self.model.keys(top, top + self._page)

    def _settle(self) -> None:
        """After rows moved: cursor back on its row, the window where it was, scroll bar to size."""
        index = self.model.index(self._cursor_key) if self._pinned else None
        top = self.scroll_offset.y
        page = max(1, self._page)
        moved_by = 0
        if index is None:
            index = max(0, min(self._cursor, len(self.model) - 1)) if self._pinned else 0
        elif top > 0 or index >= page:
            moved_by = index - self._cursor
        self._resize()
        self._cursor = index
        key = self.model.key_at(index)
        if key != self._cursor_key:
            self._cursor_key = key
            self.post_message(self.Moved())
        if moved_by:
            self.scroll_to(y=max(0, top + moved_by), animate=False, immediate=True, force=True)
        self._show_cursor()

    def _resize(self) -> None:
        size = Size(self._painter.width, len(self.model) + 1)
        if size != self.virtual_size:
            self.set_reactive(Widget.virtual_size, size)
            if self.is_attached:
                self._scroll_update(size)
        if self._thumb != self._painted_thumb:
            self._stale.append(Region(self._room, 1, 1, self._page))

    def _arrange(self) -> bool:
        """See to it that the columns are placed for the present size; says whether they were not.

        A widget mounted while the screen is laid out may be painted before, or without, its Resize event.
        """
        size = self.size
        self._room, self._page = max(0, size.width - 1), max(0, size.height - 1)
        if not size.width or not self._painter.arrange(self._room, self.app.size.width, self._layout):
            return False
        self._resize()
        return True

    def on_resize(self, _: Resize) -> None:
        self._arrange()
        self._show_cursor()
        self.refresh()

    # --- painting --------------------------------------------------------------------------------------------

    @property
    def true_colours(self) -> bool:
        return not (self.model.unconfirmed or self.app.current_theme.ansi)

    def begin_lines(self) -> None:
        self._arrange()
        self._painter.begin()
        self._ground = self.rich_style
        self._painted_thumb = self._thumb

    def render_line(self, y: int) -> Strip:
        room, left, ground = self._room, int(self.scroll_offset.x), self._ground
        if y == 0:
            style = self.get_component_rich_style("table--header")
            header = self._painter.header(style, self.model.order, bool(self.waits_for), left, room)
            return Strip([*header, Segment(" ", style)], room + 1)
        if not len(self.model):
            return self._notice_line(y - 1, room + 1)
        key = self.model.key_at(int(self.scroll_offset.y) + y - 1)
        bar = self._painter.bar(y - 1 in self._painted_thumb, ground)
        if key is None:
            return Strip([Segment(" " * room, ground), bar], room + 1)
        under_cursor = key == self._cursor_key
        style = self._line_style(key, under_cursor)
        line = self._painter.row(key, self.model.rows[key], style, under_cursor, key in self.model.marks, left, room)
        return Strip([*line, bar], room + 1)

    def _line_style(self, key: str, under_cursor: bool) -> Style:
        style = self._ground
        if under_cursor:
            style += self.get_component_rich_style("table--cursor" if self.has_focus else "table--cursor-blurred", partial=True)
        if key in self.model.unconfirmed:
            style += self.get_component_rich_style("table--unconfirmed", partial=True)
        return style

    def _notice_line(self, y: int, width: int) -> Strip:
        lines = [folded for line in self._notice for folded in wrap(line, max(10, width - 4))]
        top = max(0, min(6, (self._page - len(lines)) // 3))
        if not top <= y < top + len(lines):
            return Strip.blank(width, self._ground)
        line = lines[y - top]
        return strip(self.app, self._ground, [(" " * max(0, (width - cells(line)) // 2), ""), *line], (), width)

    def _refresh_line(self, line: int) -> None:
        if 0 <= line < self._page:
            self._stale.append(Region(0, line + 1, self._room, 1))

    def _refresh_cells(self, line: int, key: str) -> None:
        """Repaint from the first cell that looks otherwise to the last: one region costs less than several narrow ones."""
        differing = self._painter.differing(key, self.model.rows[key])
        if differing is None:
            self._refresh_line(line)
        elif differing and 0 <= line < self._page:
            left = int(self.scroll_offset.x)
            cells = [self._painter.cells_of(placed, left) for placed in differing]
            start = min(x for x, _ in cells)
            end = min(self._room, max(x + width for x, width in cells))
            if end > start:
                self._stale.append(Region(start, line + 1, end - start, 1))

    def _refresh_cell(self, line: int, placed: Placed[R]) -> None:
        if 0 <= line < self._page:
            x, width = self._painter.cells_of(placed, int(self.scroll_offset.x))
            if (width := min(width, self._room - x)) > 0:
                self._stale.append(Region(x, line + 1, width, 1))

    def _refresh_stale(self) -> None:
        if self._stale:
            stale, self._stale = self._stale, []
            self.refresh(*stale)

    # --- cursor and keys -------------------------------------------------------------------------------------

    def on_focus(self, _: Focus) -> None:
        self._refresh_cursor()

    def on_blur(self, _: Blur) -> None:
        self.waits_for = ""
        self._refresh_cursor()

    def _refresh_cursor(self) -> None:
        self._refresh_line(self._cursor - int(self.scroll_offset.y))
        self._refresh_stale()

    def move_to(self, index: int) -> None:
        """Put the cursor on the row at `index`, as near as there is one."""
        self._pinned = True
        index = max(0, min(len(self.model) - 1, index))
        key = self.model.key_at(index)
        if key == self._cursor_key:
            return
        self._refresh_cursor()
        self._cursor, self._cursor_key = index, key
        self._refresh_cursor()
        self._show_cursor()
        self.post_message(self.Moved())

    def select(self, key: str) -> None:
        """Put the cursor on the row `key` if it is shown."""
        index = self.model.index(key)
        if index is not None:
            self.move_to(index)

    def _show_cursor(self) -> None:
        top = self.scroll_offset.y
        page = self._page
        if page <= 0 or top <= self._cursor < top + page:
            return
        # Scrolling repaints the whole table whatever the step: half a page at once repaints less often.
        step = page // 2
        target = self._cursor - step if self._cursor < top else self._cursor - page + 1 + step
        self.scroll_to(y=max(0, min(target, len(self.model) - page)), animate=False, immediate=True, force=True)

    def on_mouse_scroll_down(self, _: MouseScrollDown) -> None:
        self.action_move(WHEEL)

    def on_mouse_scroll_up(self, _: MouseScrollUp) -> None:
        self.action_move(-WHEEL)

    def action_move(self, by: int) -> None:
        self.move_to(self._cursor + by)

    def action_page(self, direction: int) -> None:
        self.move_to(self._cursor + direction * max(1, self._page))

    def action_edge(self, end: int) -> None:
        self.move_to(len(self.model) - 1 if end else 0)

    def action_shift(self, by: int) -> None:
        self.scroll_to(x=max(0, self.scroll_offset.x + by), animate=False, immediate=True, force=True)

    def action_open(self) -> None:
        if self._cursor_key is not None:
            self._pinned = True
            self.post_message(self.Opened())

    def action_mark(self) -> None:
        if self._cursor_key is None:
            return
        self._pinned = True
        self.model.marks ^= {self._cursor_key}
        self._refresh_cursor()
        self.post_message(self.Arranged())
        self.action_move(1)

    def action_ask_column(self, purpose: str) -> None:
        self._wait_for_letter(purpose)

    def _wait_for_letter(self, purpose: str) -> None:
        self.waits_for = purpose
        self.refresh(Region(0, 0, self._room, 1))
        self.post_message(self.Arranged())

    def on_key(self, event: Key) -> None:
        """After `s` or `y` the next key names a column."""
        purpose = self.waits_for
        if not purpose:
            return
        event.stop()
        event.prevent_default()
        self._wait_for_letter("")
        column = next((column for column in self.view.columns if column.letter and column.letter == event.character), None)
        if column is None:
            return
        if purpose == "sort":
            self.sort_by(column.id)
        elif (row := self.cursor_row) is not None:
            self.post_message(self.CellChosen(column.label, wall(column.text(row, self._painter.now)).strip()))

    def sort_by(self, column: str) -> None:
        """Sort by this column first; again: the other way round."""
        order = self.model.order
        descending = not order[0][1] if order and order[0][0] == column else False
        rest = tuple(item for item in self.view.order if item[0] != column)
        self.set_view(order=((column, descending), *rest))
