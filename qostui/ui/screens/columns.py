"""The column chooser: which columns of a table are shown, and how wide they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen

from ...domain.table import Column, Layout, View
from ...services.layouts import NARROWEST, WIDEST
from ..ink import Piece, hints
from ..widgets.line import Line


class Columns(ModalScreen[Layout | None]):
    """Answers with the new layout; None when the reader leaves without one."""

    DEFAULT_CSS = """
    Columns { align: center middle; background: $background 60%; }
    Columns > Vertical {
        width: 76; max-width: 100%; height: auto; max-height: 90%; background: $panel; border: round $primary; padding: 0 1;
    }
    Columns Line { background: $panel; }
    Columns Line.-cursor { background: $cursor; }
    Columns:ansi > Vertical { background: ansi_default; }
    Columns:ansi Line.-cursor { text-style: reverse; background: ansi_default; }
    """
    BINDINGS = [
        Binding("escape,q", "leave", "leave", id="columns.leave"),
        Binding("enter", "take", "take", id="columns.take"),
        Binding("down,j", "move(1)", "next", show=False, id="columns.down"),
        Binding("up,k", "move(-1)", "before", show=False, id="columns.up"),
        Binding("space", "show_or_hide", "show or hide", id="columns.toggle"),
        Binding("right,plus,l", "widen(1)", "wider", show=False, id="columns.wider"),
        Binding("left,minus,h", "widen(-1)", "narrower", show=False, id="columns.narrower"),
        Binding("backspace,delete", "plain", "as it comes", show=False, id="columns.plain"),
    ]

    def __init__(self, view: View[Any], layout: Layout, shown: Sequence[str]) -> None:
        super().__init__()
        self._columns = view.columns
        self._title = view.title
        self._shown = set(shown)
        self.layout_chosen = layout
        self._at = 0
        self._lines = [Line() for _ in view.columns]

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Line([(f"Columns of {self._title}", "bold primary")], hints(("enter", "takes"), ("esc", "leaves")))
            yield Line()
            yield from self._lines
            yield Line()
            yield Line(hints(("space", "shows, hides"), ("← →", "narrower, wider"), ("⌫", "as it comes")))

    def on_mount(self) -> None:
        self._paint()

    def _paint(self) -> None:
        for place, (column, line) in enumerate(zip(self._columns, self._lines, strict=True)):
            on, shown = place == self._at, column.id in self._shown
            chosen = column.id in dict(self.layout_chosen.widths)
            line.set_class(on, "-cursor")
            left: list[Piece] = [
                ("▌ " if on else "  ", "primary"),
                ("✔ " if shown else "· ", "state-ok" if shown else "muted"),
                (f"{column.label or column.id:<20}", "bold" if on else ""),
                (_width_text(self.layout_chosen.width(column), chosen), "accent" if chosen else "muted"),
            ]
            if place == 0:
                left.append(("   always shown", "muted"))
            line.show(left)

    @property
    def _column(self) -> Column[Any]:
        return self._columns[self._at]

    def action_move(self, by: int) -> None:
        self._at = max(0, min(len(self._columns) - 1, self._at + by))
        self._paint()

    def action_show_or_hide(self) -> None:
        """Show or hide the column under the cursor; the first one stays."""
        if self._at == 0:
            return
        name, layout = self._column.id, self.layout_chosen
        if name in self._shown:
            self._shown.discard(name)
            self.layout_chosen = replace(layout, hidden=layout.hidden | {name}, shown=layout.shown - {name})
        else:
            self._shown.add(name)
            self.layout_chosen = replace(layout, hidden=layout.hidden - {name}, shown=layout.shown | {name})
        self._paint()

    def action_widen(self, by: int) -> None:
        """Make the column under the cursor one cell wider or narrower."""
        width = (self.layout_chosen.width(self._column) or 40) + by
        widths = dict(self.layout_chosen.widths) | {self._column.id: max(NARROWEST, min(WIDEST, width))}
        self.layout_chosen = replace(self.layout_chosen, widths=tuple(sorted(widths.items())))
        self._paint()

    def action_plain(self) -> None:
        """Forget what was chosen for the column under the cursor."""
        name, layout = self._column.id, self.layout_chosen
        widths = tuple(item for item in layout.widths if item[0] != name)
        self.layout_chosen = Layout(layout.hidden - {name}, layout.shown - {name}, widths)
        self._shown.add(name)
        self._paint()

    def action_take(self) -> None:
        self.dismiss(self.layout_chosen)

    def action_leave(self) -> None:
        self.dismiss(None)


def _width_text(width: int | None, chosen: bool) -> str:
    return "takes what is left" if width is None else f"{width:>3} cells{' (yours)' if chosen else ''}"
