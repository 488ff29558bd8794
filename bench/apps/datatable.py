"""Textual's own DataTable over the same rows: `python -m bench.apps.datatable COUNT [CONTROL_FD]`, the same commands.

`busy` changes 100 cells every 100 ms by `update_cell`; rows do not move, which is less than the console does.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.widgets import DataTable, Static

from qostui.domain.rule import Rule
from qostui.domain.units import bytes_text
from qostui.services.views.rules import why

from . import rows
from .console import BATCH, BATCH_EVERY, IN_SIGHT, REFRESHED

COLUMNS = (
    ("did", "DID", 24),
    ("state", "STATE", 14),
    ("copies", "COPIES", 7),
    ("expression", "EXPRESSION", 16),
    ("progress", "PROGRESS", 14),
    ("size", "SIZE", 7),
    ("age", "AGE", 5),
    ("why", "WHY", 20),
)
READY = "LOADED"


class Tabled(App[None]):
    """A status line and a table."""

    BINDINGS: ClassVar[list[BindingType]] = [("q", "quit")]

    def __init__(self, count: int, control: int | None) -> None:
        super().__init__()
        made = rows.rules(count)
        first = rows.order(made)
        leading = {row.id for row in first}
        self._rows = [*first, *(row for row in made if row.id not in leading)]
        self._traffic = rows.Traffic(made)
        self._control = control
        self._mode = "rest"
        self._table: DataTable[str] = DataTable(cursor_type="row")
        self._table.styles.height = "1fr"
        self._line = Static("loading")

    def compose(self) -> ComposeResult:
        yield self._line
        yield self._table

    def on_mount(self) -> None:
        for key, label, width in COLUMNS:
            self._table.add_column(label, width=width, key=key)
        for row in self._rows:
            self._table.add_row(*_cells(row), key=row.id)
        self._table.focus()
        self.call_after_refresh(self._line.update, READY)
        if self._control is not None:
            threading.Thread(target=self._obey, args=(self._control,), daemon=True).start()
        threading.Thread(target=self._feed, daemon=True).start()

    def _obey(self, control: int) -> None:
        with os.fdopen(control) as commands:
            for line in commands:
                if line.strip() == "cell":
                    self.call_from_thread(self._change, self._traffic.one())
                else:
                    self._mode = line.strip()

    def _feed(self) -> None:
        while True:
            if self._mode == "busy":
                self.call_from_thread(self._change, self._traffic.batch(BATCH, 0, IN_SIGHT, None))
                time.sleep(BATCH_EVERY)
            elif self._mode == "refresh":
                self.call_from_thread(self._change, self._traffic.first(REFRESHED))
                time.sleep(1.0)
            else:
                time.sleep(0.05)

    def _change(self, changed: list[Rule]) -> None:
        for row in changed:
            self._table.update_cell(row.id, "progress", _progress(row))


def _progress(row: Rule) -> str:
    return f"{int(100 * (row.fraction or 0))} %"


def _cells(row: Rule) -> tuple[str, ...]:
    copies = f"{row.complete_copies} of {row.copies}"
    age = f"{(rows.NOW - (row.created_at or rows.NOW)).days} d"
    return (rows.did(row), row.state, copies, row.rse_expression, _progress(row), bytes_text(row.bytes), age, why(row))


if __name__ == "__main__":
    Tabled(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None).run(mouse=False)
