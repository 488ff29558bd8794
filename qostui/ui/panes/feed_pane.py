"""A pane: the table of one view over one feed, with its feed line, filter and detail. Knows no kind of row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import islice
from time import perf_counter
from typing import Any, ClassVar

from rich.cells import cell_len
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Container, Vertical
from textual.events import Resize
from textual.message import Message
from textual.widgets import Input

from ...domain import query
from ...domain.errors import Problem, UsageProblem
from ...domain.table import Layout, Row, View
from ...domain.text import SafeText, clean
from ...services.feeds import Changes, FeedPort, FeedStatus
from ...services.layouts import Layouts
from ..commands import Command
from ..ink import Piece, hints, wall
from ..ports import SessionPort
from ..widgets.detail import Detail
from ..widgets.feed_line import FaultLine, FeedLine, Showing
from ..widgets.line import Line
from ..widgets.live_table import LiveTable

BUDGET = 0.004
"""Seconds that one drain may take of the screen's thread."""
CHUNK = 250
ABOUT_A_SECOND = 0.9
"""What is looked at once a second; the one who calls is never quite on time."""
SIDE_FROM = 170
"""From so many columns on the detail stands beside the table."""
SIDE_WIDTH = 76
REPLACES_BELOW = 30
"""Below so many lines (and no room beside) the detail stands in the table's place."""
FILTER_AGAIN = 10.0
"""Seconds after which a filter that may tell ages is applied anew."""


class FilterInput(Input):
    """Where the filter is typed; it applies while typing."""

    BINDINGS = [
        Binding("escape", "leave", "leave", show=False, id="filter.leave"),
        Binding("tab,shift+tab", "submit", "take", show=False, id="filter.take"),
    ]

    class Left(Message):
        """Typing ended without taking the filter."""

    def action_leave(self) -> None:
        self.post_message(self.Left())


class FeedPane(Vertical):
    """One view, live."""

    view_id: ClassVar[str] = ""
    nothing: ClassVar[str] = "There is nothing here."
    """What an empty listing means, in words of this pane."""
    summed_up: ClassVar[bool] = False
    """There is a line of totals above the table (see `summarise`)."""

    DEFAULT_CSS = """
    FeedPane { height: 1fr; }
    FeedPane FilterInput { display: none; height: 1; border: none; padding: 0 1; background: $panel; }
    FeedPane FilterInput:focus { border: none; }
    FeedPane.-filtering FilterInput { display: block; }
    FeedPane .summary { background: $surface; }
    FeedPane #body { height: 1fr; layout: vertical; }
    FeedPane Detail { display: none; background: $panel; }
    FeedPane.-detail Detail { display: block; height: 14; }
    FeedPane.-detail.-side #body { layout: horizontal; }
    FeedPane.-detail.-side Detail { height: 1fr; width: 76; }
    FeedPane.-detail.-replace LiveTable { display: none; }
    FeedPane.-detail.-replace Detail { height: 1fr; }
    """
    BINDINGS = [
        Binding("slash", "filter", "filter", key_display="/", id="pane.filter"),
        Binding("r,ctrl+r", "refresh_feed", "refresh", id="pane.refresh"),
        Binding("c", "copy", "copy", id="pane.copy"),
        Binding("Y", "copy_table", "copy the table, as it is filtered and sorted", show=False, id="pane.copy-table"),
        Binding("w", "columns", "columns: show, hide, width", show=False, id="pane.columns"),
        Binding("e", "problem", "error", show=False, id="pane.problem"),
        Binding("escape", "back", "back", show=False, id="pane.back"),
    ]

    class Copied(Message):
        """Text for the clipboard."""

        def __init__(self, text: str, what: str) -> None:
            super().__init__()
            self.text = text
            self.what = what

    class Explain(Message):
        """The reader wants all of what went wrong."""

        def __init__(self, problem: Problem) -> None:
            super().__init__()
            self.problem = problem

    def __init__(self, view: View[Any], feed: FeedPort[Any], now: Callable[[], datetime], layouts: Layouts | None = None) -> None:
        super().__init__(id=view.id)
        self.layouts = layouts or Layouts(None)
        self.view = view = self.dressed(view)
        self.feed = feed
        self.filter = ""
        self._now = now
        self._fault = ""
        self._before_editing = ""
        self._backlog: dict[str, Row] = {}
        self._ticked = 0.0
        self._filtered = 0.0
        self.table: LiveTable[Any] = LiveTable(view, now, self.layouts.of(view.id))
        self.feed_line = FeedLine()
        self.fault_line = FaultLine()
        self.summary = Line(classes="summary")
        self.detail = Detail()
        self.input = FilterInput(placeholder="text, column:value, !inverse, /regex/   enter takes it, esc leaves it", select_on_focus=False)
        self.input.cursor_blink = False

    @classmethod
    def dressed(cls, view: View[Any]) -> View[Any]:
        """The view as this pane shows it."""
        return view

    def belong(self, app: App[Any], session: SessionPort) -> None:
        """Told once, before it is shown, to what the pane belongs."""

    def commands(self) -> list[Command]:
        """What this pane adds to what can be said, whatever pane is seen."""
        return []

    def compose(self) -> ComposeResult:
        yield self.feed_line
        yield self.fault_line
        if self.summed_up:
            yield self.summary
        with Container(id="body"):
            yield self.table
            yield self.detail

    def summarise(self, rows: Sequence[Any], now: datetime) -> list[tuple[SafeText, str]]:
        """What the line above the table says; asked once a second while the pane is seen."""
        return []

    # --- data ------------------------------------------------------------------------------------------------

    @property
    def backlog(self) -> int:
        """Rows that came from the feed and are not in the table yet."""
        return len(self._backlog)

    def drain(self) -> None:
        """Move what the feed has into the table for at most 4 ms, then let ages and highlights go on."""
        start = perf_counter()
        changes = self.feed.drain()
        for key in changes.removed:
            self._backlog.pop(key, None)
        self._backlog.update(changes.upserted)
        changed = bool(self._backlog or changes.removed) or changes.unconfirmed is not self.table.model.unconfirmed
        removed = changes.removed
        while changed:
            upserted = {key: self._backlog.pop(key) for key in list(islice(self._backlog, CHUNK))}
            self.table.apply(Changes(upserted, removed, changes.unconfirmed))
            removed = frozenset()
            if not self._backlog:
                self._backlog = {}  # one that was large keeps its memory though it is empty
                break
            if perf_counter() - start > BUDGET:
                break
        a_second_on = start - self._ticked >= ABOUT_A_SECOND
        if a_second_on:
            self._ticked = start
            self._refilter(start)
            self._summarise()
        if changed or a_second_on:
            self._show_lines()
            self._show_detail()
        self.table.tick()

    def _refilter(self, moment: float) -> None:
        """Rows grow older: a filter that may tell ages is applied anew now and then."""
        if self.table.model.filter.may_tell_time and moment - self._filtered >= FILTER_AGAIN:
            self._filtered = moment
            self.table.set_view()

    def _summarise(self) -> None:
        if self.summed_up:
            parts = self.summarise(list(self.table.model.rows.values()), self._now())
            self.summary.show(joined(parts, self.app.size.width))

    def _show_lines(self) -> None:
        status, now, model = self.feed.status, self._now(), self.table.model
        showing = Showing(len(model), len(model.rows), len(model.marks), self.filter, self._fault, self.table.waits_for, model.rearranging)
        self.feed_line.show_status(status, showing, now)
        self.fault_line.show_status(status, now)
        self.table.set_notice(self._notice(status))

    def _notice(self, status: FeedStatus) -> list[list[Piece]]:
        if self.table.model.rows and self.filter:
            return [[("No row passes the filter ", "muted"), (self.filter, "bold")], hints(("esc", "clears it"), ("/", "changes it"))]
        if status.problem is not None:
            return [
                [(f"✖ {status.problem.summary}", "error bold")],
                [(status.problem.step, "")],
                [("it is tried again by itself   ", "muted"), *hints(("r", "now"), ("e", "all of the error"))],
            ]
        if status.state in ("waiting", "loading"):
            return [[("… waiting for the first rows", "muted")]]
        if status.state == "paused":
            return [[("‖ paused: too many calls hang", "warning bold")], hints(("r", "tries again"))]
        return [[(self.nothing, "muted")]]

    # --- detail ----------------------------------------------------------------------------------------------

    @property
    def detail_open(self) -> bool:
        """Is the detail seen."""
        return self.has_class("-detail")

    def _show_detail(self) -> None:
        row = self.table.cursor_row
        if not self.detail_open or row is None:
            return
        width = self.detail.scrollable_content_region.width or self.detail.size.width
        self.detail.show_facts(self.view.detail(row, self._now()), width)

    @on(LiveTable.Opened)
    def _open_detail(self) -> None:
        if self.detail_open:
            self._close_detail()
            return
        self._place_detail()
        if (row := self.table.cursor_row) is not None:
            # Before it is seen, so that it is never blank.
            width = SIDE_WIDTH if self.has_class("-side") else self.app.size.width
            self.detail.show_facts(self.view.detail(row, self._now()), width)
        self.add_class("-detail")
        self.call_after_refresh(self._show_detail)
        if self.has_class("-replace"):
            self.detail.focus()

    @on(Detail.Closed)
    def _close_detail(self) -> None:
        self.remove_class("-detail")
        self.table.focus()

    @on(LiveTable.Moved)
    def _follow(self) -> None:
        self._show_detail()

    @on(LiveTable.Arranged)
    def _arranged(self) -> None:
        self._show_lines()

    def on_mount(self) -> None:
        self.drain()

    def on_resize(self, _: Resize) -> None:
        self._place_detail()
        self.call_after_refresh(self._show_detail)

    def _place_detail(self) -> None:
        size = self.app.size
        side = size.width >= SIDE_FROM
        self.set_class(side, "-side")
        replaces = not side and size.height < REPLACES_BELOW
        self.set_class(replaces, "-replace")
        if self.detail_open and replaces and self.table.has_focus:
            self.detail.focus()

    # --- filter ----------------------------------------------------------------------------------------------

    def set_filter(self, text: str) -> str:
        """Show only what passes `text`; says what is wrong with it, "" when nothing."""
        try:
            parsed = query.parse(text, self.view)
        except UsageProblem as problem:
            self._fault = clean(f"{problem.summary}; {problem.step}" if problem.step else problem.summary)
        else:
            self._fault = ""
            self.filter = wall(text.strip())
            self._filtered = perf_counter()
            self.table.set_view(wanted=parsed)
        self._show_lines()
        return self._fault

    async def action_filter(self) -> None:
        if not self.input.is_mounted:
            await self.mount(self.input, after=self.feed_line)
        self._before_editing = self.filter
        self.add_class("-filtering")
        self.input.value = self.filter
        self.screen.set_focus(self.input)  # at once: what is typed in one burst belongs to it

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if self.has_class("-filtering"):
            self.set_filter(event.value)

    @on(Input.Submitted)
    def _take_filter(self, event: Input.Submitted) -> None:
        event.stop()
        if not self._fault:
            self._end_typing()

    @on(FilterInput.Left)
    def _leave_filter(self) -> None:
        self.set_filter(self._before_editing)
        self._end_typing()

    def _end_typing(self) -> None:
        self.remove_class("-filtering")
        self.table.focus()

    # --- keys ------------------------------------------------------------------------------------------------

    def action_refresh_feed(self) -> None:
        self.feed.refresh()

    def action_problem(self) -> None:
        problem = self.feed.status.problem
        if problem is not None:
            self.post_message(self.Explain(problem))

    def action_back(self) -> None:
        """Close the detail, else clear the filter."""
        if self.detail_open:
            self._close_detail()
        elif self.filter:
            self.set_filter("")

    def action_copy(self) -> None:
        marked = self.table.model.marked()
        key = self.table.cursor_key
        if self.detail_open and self.detail.has_focus:
            self.post_message(self.Copied(self.detail.plain, "the detail"))
        elif marked:
            self.post_message(self.Copied("\n".join(self.table.plain(each) for each in marked), f"{len(marked)} rows"))
        elif key is not None:
            self.post_message(self.Copied(self.table.plain(key), "the row"))

    @on(LiveTable.CellChosen)
    def _copy_cell(self, event: LiveTable.CellChosen) -> None:
        event.stop()
        self.post_message(self.Copied(event.text, event.label or "the cell"))

    def action_copy_table(self) -> None:
        self.post_message(self.Copied(self.table.separated(), f"the table, {len(self.table.model):,} rows"))

    def action_columns(self) -> None:
        from ..screens.columns import Columns

        self.app.push_screen(Columns(self.view, self.layouts.of(self.view_id), self.table.columns_shown), self._arrange_columns)

    def _arrange_columns(self, layout: Layout | None) -> None:
        if layout is not None:
            self.layouts.keep(self.view_id, layout)
            self.table.set_layout(layout)

    def focus_table(self) -> None:
        """Put the keys where the reader looks."""
        (self.detail if self.detail_open and self.has_class("-replace") else self.table).focus()


def joined(parts: Sequence[tuple[SafeText, str]], width: int) -> list[Piece]:
    """Parts of a summary with dots between, as many as fit in `width` cells."""
    pieces: list[Piece] = [(" ", "")]
    used = 1
    for text, style in parts:
        used += cell_len(text) + 3
        if used > width:
            break
        if len(pieces) > 1:
            pieces.append((" · ", "muted"))
        pieces.append((text, style))
    return pieces
