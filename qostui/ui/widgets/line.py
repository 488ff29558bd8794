"""Lines and sheets: text from data painted cell by cell, with no markup anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual.binding import Binding
from textual.events import Resize
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from ..ink import Piece, strip, wrap
from .direct import DirectLines


class Line(DirectLines):
    """One line: pieces at the left, pieces at the right."""

    DEFAULT_CSS = "Line { height: 1; width: 1fr; }"
    ALLOW_SELECT = False

    def __init__(self, left: Sequence[Piece] = (), right: Sequence[Piece] = (), **arguments: Any) -> None:
        super().__init__(**arguments)
        self._pieces = (list(left), list(right))

    def show(self, left: Sequence[Piece], right: Sequence[Piece] = ()) -> None:
        """Paint these pieces; nothing is written when they are the same."""
        pieces = (list(left), list(right))
        if pieces != self._pieces:
            self._pieces = pieces
            self.refresh()

    @property
    def plain(self) -> str:
        """What the line says, without colours: left, two spaces, right."""
        left, right = ("".join(text for text, _ in side) for side in self._pieces)
        return f"{left}  {right}" if right else left

    def render_line(self, y: int) -> Strip:
        left, right = self._pieces
        return strip(self.app, self.rich_style, left, right, self.size.width)


class Sheet(DirectLines, ScrollView, can_focus=True, inherit_bindings=False):
    """Lines of pieces, folded to the width, that scroll."""

    DEFAULT_CSS = """
    Sheet {
        height: 1fr; width: 1fr; overflow-x: hidden; overflow-y: auto;
        scrollbar-size-vertical: 1; scrollbar-color: $scroll; scrollbar-background: $panel;
    }
    """
    ALLOW_SELECT = False
    BINDINGS = [
        Binding("down,j", "scroll_down", "down", show=False, id="sheet.down"),
        Binding("up,k", "scroll_up", "up", show=False, id="sheet.up"),
        Binding("pagedown", "page_down", "page down", show=False, id="sheet.page-down"),
        Binding("pageup", "page_up", "page up", show=False, id="sheet.page-up"),
        Binding("home,g", "scroll_home", "top", show=False, id="sheet.top"),
        Binding("end,G", "scroll_end", "end", show=False, id="sheet.end"),
    ]

    def __init__(self, lines: Sequence[Sequence[Piece]] = (), *, indent: int = 0, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._source = [list(line) for line in lines]
        self._indent = indent
        self._lines: list[list[Piece]] = []

    def show(self, lines: Sequence[Sequence[Piece]], *, indent: int = 0) -> None:
        """Replace the text; the place of reading stays."""
        source = [list(line) for line in lines]
        if source == self._source and indent == self._indent:
            return
        self._source, self._indent = source, indent
        self._fold()

    @property
    def plain(self) -> str:
        """The text without colours, as it was given, one line each."""
        return "\n".join("".join(text for text, _ in line).rstrip() for line in self._source)

    def on_resize(self, _: Resize) -> None:
        self._fold()

    def _fold(self) -> None:
        width = self.scrollable_content_region.width or self.size.width
        if width <= 0:
            return
        self._lines = self._folded(width)
        size = Size(width, len(self._lines))
        if size != self.virtual_size:
            self.virtual_size = size
        self.refresh()

    def _folded(self, width: int) -> list[list[Piece]]:
        return [folded for line in self._source for folded in wrap(line, width, self._indent)]

    def render_line(self, y: int) -> Strip:
        if self._source and not self._lines:
            # Painted before, or without, its Resize event: at once, or it would be blank for a moment.
            self._lines = self._folded(self.scrollable_content_region.width or self.size.width)
            self.call_later(self._fold)
        index = self.scroll_offset.y + y
        width = self.size.width
        if index >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        return strip(self.app, self.rich_style, self._lines[index], (), width)
