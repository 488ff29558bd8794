"""The live table: paints the visible lines only, over row objects that it shares with the store.

Data comes in by `apply` and `set_view`; all else is painting and the cursor. `virtual_size` is set silently, because
Textual 8.2.8 lays the whole screen out again when it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding
from textual.events import Blur, Focus, Key, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from ...domain.table import Column, View
from ...services.feeds import Changes
from ..ink import Piece, cells, fit, ink, strip, wall, wrap
from .column_widths import fill
from .table_model import Matcher, Order, R, TableModel

GUTTER = 2
HIGHLIGHT = timedelta(seconds=1.5)


@dataclass(frozen=True)
class Placed(Generic[R]):
    """A column on the screen: first cell (before scrolling) and width."""

    column: Column[R]
    x: int
    width: int


class LiveTable(ScrollView, Generic[R], can_focus=True, inherit_bindings=False):
    """A table of one view, with a cursor that stays on its row, marks, sort and filter."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES = {"table--header", "table--cursor", "table--cursor-blurred", "table--changed", "table--unconfirmed"}
    DEFAULT_CSS = """
    LiveTable { height: 1fr; width: 1fr; overflow-y: scroll; overflow-x: hidden; scrollbar-size-vertical: 1; background: $background;
        scrollbar-color: $scroll; scrollbar-color-hover: $scroll; scrollbar-color-active: $scroll;
        scrollbar-background: $background; scrollbar-background-hover: $background; scrollbar-background-active: $background; }
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
        Binding("s", "sort", "sort", id="table.sort"),
        Binding("space", "mark", "mark", id="table.mark"),
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
        """Sort order or marks changed, or the table waits for the letter of a column."""

    def __init__(self, view: View[R], now: Callable[[], datetime], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.view = view
        self.model: TableModel[R] = TableModel(view)
        self.waits_for_letter = False
        self._clock = now
        self._now = now()
        self._cursor = 0
        self._cursor_key: str | None = None
        self._pinned = False
        self._placed: list[Placed[R]] = []
        self._width = 0
        self._arranged_for = (-1, -1)
        self._painted: dict[str, tuple[str, ...]] = {}
        self._highlights: dict[tuple[str, str], datetime] = {}
        self._notice: list[list[Piece]] = []

    # --- data in ---------------------------------------------------------------------------------------------

    def apply(self, changes: Changes[R]) -> None:
        """Take in a batch and repaint the visible lines that it changed."""
        self._now = self._clock()
        before = self._visible()
        was_empty = not len(self.model)
        unconfirmed = self.model.unconfirmed
        applied = self.model.apply(changes, self._now)
        self._highlight(before, applied.replaced)
        if applied.moved:
            self._settle()
            if was_empty or not len(self.model):
                self.refresh()
                return
        after = self._visible()
        flipped = unconfirmed ^ self.model.unconfirmed
        for line, key in enumerate(after):
            if line >= len(before) or before[line] != key or key in flipped:
                self._refresh_line(line)
            elif key in applied.replaced:
                self._refresh_cells(line, key)
        for line in range(len(after), len(before)):
            self._refresh_line(line)
        if self._cursor_key in applied.replaced:
            self.post_message(self.Moved())

    def set_view(self, *, matches: Matcher | None, order: Order | None = None) -> None:
        """Filter and sort anew; the cursor stays on its row if that is still shown."""
        self._now = self._clock()
        self.model.set_view(self._now, matches=matches, order=self.model.order if order is None else order)
        self._settle()
        self.refresh()

    def set_notice(self, lines: Sequence[Sequence[Piece]]) -> None:
        """What is painted in the table's place while it has no rows."""
        notice = [list(line) for line in lines]
        if notice != self._notice:
            self._notice = notice
            if not len(self.model):
                self.refresh()

    def tick(self) -> None:
        """Let ages count and highlights fade: repaints only the cells whose text is another one now."""
        self._now = self._clock()
        if not self._arranged():
            self._show_cursor()
            self.refresh()
            return
        for key, column in [item for item, until in self._highlights.items() if until <= self._now]:
            del self._highlights[key, column]
            self._refresh_column(key, column)
        for line, key in enumerate(self._visible()):
            self._refresh_cells(line, key)

    # --- what is where ---------------------------------------------------------------------------------------

    @property
    def cursor_key(self) -> str | None:
        """Key of the row under the cursor."""
        return self._cursor_key

    @property
    def cursor_row(self) -> R | None:
        """The row under the cursor."""
        return self.model.rows.get(self._cursor_key) if self._cursor_key is not None else None

    def plain(self, key: str) -> str:
        """All columns of a row as text, hidden ones too, two spaces between."""
        row = self.model.rows[key]
        return "  ".join(text for column in self.view.columns if (text := wall(column.text(row, self._now)).strip()))

    @property
    def columns_shown(self) -> tuple[str, ...]:
        """Ids of the columns that are not hidden for want of room."""
        return tuple(placed.column.id for placed in self._placed)

    def _visible(self) -> list[str]:
        top = self.scroll_offset.y
        return self.model.keys(top, top + max(0, self.size.height - 1))

    def _settle(self) -> None:
        """After rows moved: cursor back on its row, the window where it was, scroll bar to size."""
        index = self.model.index(self._cursor_key) if self._pinned else None
        top = self.scroll_offset.y
        page = max(1, self.size.height - 1)
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
        size = Size(self._width, len(self.model) + 1)
        if size != self.virtual_size:
            self.set_reactive(Widget.virtual_size, size)
            if self.is_attached:
                self._scroll_update(size)

    def _arrange(self) -> None:
        """Give each column its place: priorities by the terminal's width, the rest to the column without a width."""
        terminal = self.app.size.width
        gap = 1 if terminal < 140 else 2
        least = {1: 0, 2: 100, 3: 140}
        columns = [column for column in self.view.columns if terminal >= least.get(column.priority, 140)]
        widths = fill([column.width for column in columns], self.size.width - GUTTER - gap * len(columns))
        self._placed = []
        x = GUTTER
        for column, width in zip(columns, widths, strict=True):
            self._placed.append(Placed(column, x, width))
            x += width + gap
        self._width = max(GUTTER, x - gap)

    def _arranged(self) -> bool:
        """See to it that the columns are placed for the present size; says whether they were not.

        A widget mounted while the screen is laid out may be painted before, or without, its Resize event.
        """
        size = (self.size.width, self.app.size.width)
        if size == self._arranged_for:
            return True
        self._arranged_for = size
        self._arrange()
        self._resize()
        return False

    def on_resize(self, _: Resize) -> None:
        self._arranged()
        self._show_cursor()
        self.refresh()

    # --- painting --------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        self._arranged()
        width = self.size.width
        left = self.scroll_offset.x
        if y == 0:
            style = self.get_component_rich_style("table--header")
            return self._header(style).crop_extend(left, left + width, style)
        if not len(self.model):
            return self._notice_line(y - 1, width)
        key = self.model.key_at(self.scroll_offset.y + y - 1)
        if key is None:
            return Strip.blank(width, self.rich_style)
        style = self._line_style(key)
        return self._row(key, style).crop_extend(left, left + width, style)

    def _line_style(self, key: str) -> Style:
        style = self.rich_style
        if key == self._cursor_key:
            style += self.get_component_rich_style("table--cursor" if self.has_focus else "table--cursor-blurred", partial=True)
        if key in self.model.unconfirmed:
            style += self.get_component_rich_style("table--unconfirmed", partial=True)
        return style

    def _header(self, style: Style) -> Strip:
        first, descending = self.model.order[0] if self.model.order else ("", False)
        hint = ink(self.app, "warning bold") if self.waits_for_letter else style
        segments = [Segment(" " * GUTTER, style)]
        x = GUTTER
        for placed in self._placed:
            column = placed.column
            segments.append(Segment(" " * (placed.x - x), style))
            label = column.label
            if self.waits_for_letter and column.letter:
                label = f"{column.letter}·{label}"
            elif column.id == first and label:
                label = f"{label} {'▼' if descending else '▲'}"
            segments.append(
                Segment(fit(label, placed.width, column.align), style + hint if self.waits_for_letter and column.letter else style)
            )
            x = placed.x + placed.width
        return Strip(segments)

    def _texts(self, key: str) -> tuple[str, ...]:
        row = self.model.rows[key]
        return tuple(placed.column.text(row, self._now) for placed in self._placed)

    def _row(self, key: str, style: Style) -> Strip:
        row = self.model.rows[key]
        texts = self._painted[key] = self._texts(key)
        if len(self._painted) > 4 * max(40, self.size.height):
            self._painted = {shown: self._painted[shown] for shown in self._visible() if shown in self._painted}
        cursor = "▌" if key == self._cursor_key else " "
        mark = "✓" if key in self.model.marks else " "
        segments = [Segment(cursor, style + ink(self.app, "primary")), Segment(mark, style + ink(self.app, "bold accent"))]
        x = GUTTER
        for placed, text in zip(self._placed, texts, strict=True):
            column = placed.column
            if placed.x > x:
                segments.append(Segment(" " * (placed.x - x), style))
            cell = style
            if column.style is not None and (name := column.style(row)):
                cell = cell + ink(self.app, name)
            if (key, column.id) in self._highlights:
                cell = cell + self.get_component_rich_style("table--changed", partial=True)
            segments.append(Segment(fit(text, placed.width, column.align), cell))
            x = placed.x + placed.width
        return Strip(segments)

    def _notice_line(self, y: int, width: int) -> Strip:
        lines = [folded for line in self._notice for folded in wrap(line, max(10, width - 4))]
        top = max(0, min(6, (self.size.height - 1 - len(lines)) // 3))
        if not top <= y < top + len(lines):
            return Strip.blank(width, self.rich_style)
        line = lines[y - top]
        return strip(self.app, self.rich_style, [(" " * max(0, (width - cells(line)) // 2), ""), *line], (), width)

    def _refresh_line(self, line: int) -> None:
        if 0 <= line < self.size.height - 1:
            self.refresh(Region(0, line + 1, self.size.width, 1))

    def _refresh_cells(self, line: int, key: str) -> None:
        painted = self._painted.get(key)
        texts = self._texts(key)
        if painted is None or len(painted) != len(texts):
            self._refresh_line(line)
            return
        for placed, old, new in zip(self._placed, painted, texts, strict=True):
            if old != new or (key, placed.column.id) in self._highlights:
                self._refresh_cell(line, placed)

    def _refresh_cell(self, line: int, placed: Placed[R]) -> None:
        x = placed.x - self.scroll_offset.x
        region = Region(x, line + 1, placed.width, 1).intersection(self.size.region)
        if region:
            self.refresh(region)

    def _refresh_column(self, key: str, column: str) -> None:
        index = self.model.index(key)
        if index is None:
            return
        line = index - self.scroll_offset.y
        for placed in self._placed:
            if placed.column.id == column and 0 <= line < self.size.height - 1:
                self._refresh_cell(line, placed)

    def _highlight(self, visible: Sequence[str], replaced: dict[str, R]) -> None:
        """Note which visible cells another value came into; one that only counts time is not a change."""
        until = self._now + HIGHLIGHT
        for key in visible:
            old = replaced.get(key)
            new = self.model.rows.get(key)
            if old is None or new is None:
                continue
            for placed in self._placed:
                text = placed.column.text
                if text(old, self._now) != text(new, self._now):
                    self._highlights[key, placed.column.id] = until

    # --- cursor and keys -------------------------------------------------------------------------------------

    def on_focus(self, _: Focus) -> None:
        self._refresh_line(self._cursor - self.scroll_offset.y)

    def on_blur(self, _: Blur) -> None:
        self.waits_for_letter = False
        self._refresh_line(self._cursor - self.scroll_offset.y)

    def move_to(self, index: int) -> None:
        """Put the cursor on the row at `index`, as near as there is one."""
        self._pinned = True
        index = max(0, min(len(self.model) - 1, index))
        key = self.model.key_at(index)
        if key == self._cursor_key:
            return
        self._refresh_line(self._cursor - self.scroll_offset.y)
        self._cursor, self._cursor_key = index, key
        self._refresh_line(self._cursor - self.scroll_offset.y)
        self._show_cursor()
        self.post_message(self.Moved())

    def select(self, key: str) -> None:
        """Put the cursor on the row `key` if it is shown."""
        index = self.model.index(key)
        if index is not None:
            self.move_to(index)

    def _show_cursor(self) -> None:
        top = self.scroll_offset.y
        page = self.size.height - 1
        if page <= 0 or top <= self._cursor < top + page:
            return
        # Scrolling repaints the whole table whatever the step: a third of a page at once repaints less often.
        step = page // 3
        target = self._cursor - step if self._cursor < top else self._cursor - page + 1 + step
        self.scroll_to(y=max(0, min(target, len(self.model) - page)), animate=False, immediate=True, force=True)

    def action_move(self, by: int) -> None:
        self.move_to(self._cursor + by)

    def action_page(self, direction: int) -> None:
        self.move_to(self._cursor + direction * max(1, self.size.height - 1))

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
        self._refresh_line(self._cursor - self.scroll_offset.y)
        self.post_message(self.Arranged())
        self.action_move(1)

    def action_sort(self) -> None:
        self._wait_for_letter(True)

    def _wait_for_letter(self, wait: bool) -> None:
        self.waits_for_letter = wait
        self.refresh(Region(0, 0, self.size.width, 1))
        self.post_message(self.Arranged())

    def on_key(self, event: Key) -> None:
        """After `s` the next key names a column; pressed for the same column it turns the order."""
        if not self.waits_for_letter:
            return
        event.stop()
        event.prevent_default()
        self._wait_for_letter(False)
        for column in self.view.columns:
            if column.letter and column.letter == event.character:
                self.sort_by(column.id)
                return

    def sort_by(self, column: str) -> None:
        """Sort by this column first; again: the other way round."""
        order = self.model.order
        descending = not order[0][1] if order and order[0][0] == column else False
        rest = tuple(item for item in self.view.order if item[0] != column)
        self.set_view(matches=self.model.matches, order=((column, descending), *rest))
        self.post_message(self.Arranged())
