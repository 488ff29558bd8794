"""The detail of one row: labelled facts, two beside each other where there is room."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual.binding import Binding
from textual.message import Message

from ...domain.table import Fact
from ..ink import Piece
from .line import Sheet

LABEL_MOST = 20
"""Cells that labels take at most; a longer one moves its own value only."""
BEFORE = "  "


class Detail(Sheet, can_focus=True):
    """Facts of the row under the cursor; follows it."""

    BINDINGS = [Binding("escape,enter,d", "close", "close", key_display="esc", id="detail.close")]

    class Closed(Message):
        """The reader is done."""

    def action_close(self) -> None:
        self.post_message(self.Closed())

    def show_facts(self, facts: Sequence[Fact], width: int) -> None:
        """Lay the facts out for `width` cells; a value that is folded goes on under its beginning."""
        label_width = min(LABEL_MOST, max((cell_len(fact.label) for fact in facts if fact.value is not None), default=0)) + 1
        self.show(lay_out(facts, width, label_width), indent=min(label_width + len(BEFORE) + 1, width // 2))


def lay_out(facts: Sequence[Fact], width: int, label_width: int) -> list[list[Piece]]:
    """Titles on lines of their own; short facts in two columns from 90 cells on."""
    lines: list[list[Piece]] = []
    column = width // 2 if width >= 90 else 0
    waiting: list[Piece] | None = None
    for fact in facts:
        if fact.value is None:
            waiting = None
            lines.append([(f" {fact.label}", "bold heading")])
            continue
        label = fact.label if cell_len(fact.label) >= label_width else fact.label + " " * (label_width - cell_len(fact.label))
        item: list[Piece] = [(BEFORE, ""), (label, "muted"), (" ", ""), (fact.value or "–", fact.style)]
        length = sum(cell_len(text) for text, _ in item)
        if column and length < column:
            if waiting is None:
                lines.append([*item, (" " * (column - length), "")])
                waiting = lines[-1]
            else:
                waiting.extend(item)
                waiting = None
        else:
            waiting = None
            lines.append(item)
    return lines
