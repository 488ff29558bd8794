"""The bar of tabs: number, title and count of each pane, with a sign when its source fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..ink import Piece, cells
from .line import Line


@dataclass(frozen=True)
class Tab:
    """One pane in the bar."""

    id: str
    title: str
    count: int | None = None
    sign: str = ""
    """"" or a glyph: the source fails or has nothing yet."""
    style: str = ""


class TabBar(Line):
    """One line of tabs; on a narrow terminal the others are told by their number alone."""

    DEFAULT_CSS = "TabBar { background: $surface; }"

    def show_tabs(self, tabs: Sequence[Tab], active: str | None) -> None:
        """Paint these, with `active` lit."""
        right: list[Piece] = [("ctrl+t ", "primary bold"), ("profile ", "muted")]
        width = self.size.width or self.app.size.width
        for level in range(4):
            left: list[Piece] = []
            for number, tab in enumerate(tabs, 1):
                if left:
                    left.append(("│", "muted"))
                left += _tab(number, tab, tab.id == active, level)
            if cells(left) + cells(right) + 1 <= width:
                break
            right = [] if level else right
        self.show(left, right)


def _tab(number: int, tab: Tab, active: bool, level: int) -> list[Piece]:
    title = tab.title if level < 2 or active else tab.title[:4] if level < 3 else ""
    count = f" {tab.count:,}" if tab.count is not None and (level < 3 or active) else ""
    if active:
        pieces = [(f" {number} {title}{count} ", "bold reverse primary")]
    else:
        pieces = [(f" {number}", "primary bold"), (f" {title}" if title else "", ""), (f"{count} ", "muted")]
    return [*pieces, (f"{tab.sign} ", tab.style)] if tab.sign else pieces
