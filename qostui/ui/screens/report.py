"""A report over the console: a table that fills while its rows are found. Knows no kind of row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen

from ...domain.errors import Problem
from ...domain.table import Row, View
from ...domain.text import clean
from ...services.errands import Errand
from ...services.feeds import Changes
from ..ink import Piece, hints
from ..widgets.detail import Detail
from ..widgets.line import Line
from ..widgets.live_table import LiveTable

Begin = Callable[[Callable[[Sequence[Row]], None], Callable[[Problem | None], None]], Errand]
"""Begins the report; it is given what takes rows and what hears the end, and calls both on the screen's thread."""


class Report(ModalScreen[None]):
    """One report; leaving it calls it off."""

    DEFAULT_CSS = """
    Report { align: center middle; background: $background 60%; }
    Report > Vertical { width: 96%; height: 92%; background: $panel; border: round $primary; padding: 0 1; }
    Report Line, Report LiveTable, Report Detail { background: $panel; }
    Report Detail { display: none; height: 12; }
    Report.-detail Detail { display: block; }
    Report:ansi > Vertical { background: ansi_default; }
    """
    AUTO_FOCUS = "LiveTable"
    BINDINGS = [
        Binding("escape,q", "leave", "leave", id="report.leave"),
        Binding("r,ctrl+r", "again", "ask again", id="report.again"),
    ]

    def __init__(self, title: str, view: View[Any], now: Callable[[], datetime], begin: Begin) -> None:
        super().__init__()
        self._title = title
        self._view = view
        self._now = now
        self._begin = begin
        self._errand: Errand | None = None
        self._round = 0
        """Rows of a round that was called off may still be on their way."""
        self.table: LiveTable[Any] = LiveTable(view, now)
        self.detail = Detail()
        self._state = Line()

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Line([(clean(self._title), "bold primary")], hints(("enter", "detail"), ("r", "asks again"), ("esc", "leaves")))
            yield self._state
            yield self.table
            yield self.detail

    def on_mount(self) -> None:
        self.set_interval(1.0, self.table.tick)
        self.action_again()

    def on_unmount(self) -> None:
        self._call_off()

    def action_again(self) -> None:
        """From the beginning."""
        self._call_off()
        self._round += 1
        mine = self._round
        self.table.apply(Changes({}, frozenset(self.table.model.rows), frozenset()))
        self.table.set_notice([[("… the first answers are awaited", "muted")]])
        self._show_state([("… asking", "warning")])

        def take(rows: Sequence[Row]) -> None:
            if mine == self._round and self.is_attached:
                self.table.apply(Changes({row.key: row for row in rows}, frozenset(), frozenset()))
                self._show_state([("… asking", "warning")])

        def ended(problem: Problem | None) -> None:
            if mine == self._round and self.is_attached:
                self._ended(problem)

        self._errand = self._begin(take, ended)

    def _ended(self, problem: Problem | None) -> None:
        self.table.set_notice([[("There is nothing to tell.", "muted")]])
        if problem is None:
            self._show_state([("✔ all asked", "success")])
        else:
            self._show_state([(f"✖ {clean(problem.summary)}", "error bold"), (f"   {clean(problem.step)}", "")])

    def _show_state(self, state: list[Piece]) -> None:
        count = len(self.table.model.rows)
        self._state.show(state, [(f"{count:,} row{'' if count == 1 else 's'} ", "")])

    def _call_off(self) -> None:
        if self._errand is not None:
            self._errand.call_off()
            self._errand = None

    # --- detail ----------------------------------------------------------------------------------------------

    @on(LiveTable.Opened)
    def _open(self) -> None:
        self.toggle_class("-detail")
        self._show_detail()
        self.call_after_refresh(self._show_detail)

    @on(LiveTable.Moved)
    def _show_detail(self) -> None:
        row = self.table.cursor_row
        if self.has_class("-detail") and row is not None:
            width = self.detail.scrollable_content_region.width or self.app.size.width
            self.detail.show_facts(self._view.detail(row, self._now()), width)

    @on(Detail.Closed)
    def _close(self) -> None:
        self.remove_class("-detail")
        self.table.focus()

    def action_leave(self) -> None:
        """Close the detail, else the report."""
        if self.has_class("-detail"):
            self._close()
        else:
            self._call_off()
            self.dismiss(None)
