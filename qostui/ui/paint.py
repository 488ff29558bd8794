"""What the terminal shows, cell by cell, and the fewest bytes that make it show something else.

Textual 8.2.8 writes a changed region from the start of its widget's line on, with all colours and a reset for each
piece of text (`_compositor.ChopsUpdate.render_segments`): 1,600 bytes where a cell of a table changed. Here only cells that
differ are written, and of their style only what differs from the cell before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from rich.cells import cell_len, get_character_cell_size
from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.geometry import Size
from textual.strip import Strip


class Look(NamedTuple):
    """How a cell looks, as parameters of SGR (ECMA-48 8.3.117): attributes, ink and ground; "" is the terminal's own."""

    attributes: str = ""
    ink: str = ""
    ground: str = ""

    @property
    def marks_blanks(self) -> bool:
        """Is it seen on a blank: underlined, reversed, struck out."""
        return any(code in ("4", "7", "9", "21", "53") for code in self.attributes.split(";"))


PLAIN = Look()
UNKNOWN = None
"""What a cell holds of which nothing is known; no text equals it."""
MEMORY = 4096
"""Styles that are kept worked out."""


class Written(CompositorUpdate):
    """An update whose bytes are there already."""

    def __init__(self, text: str) -> None:
        self._text = text

    def render_segments(self, console: Console) -> str:
        return self._text


class Painter:
    """Remembers what the terminal shows."""

    def __init__(self) -> None:
        self._size = Size(0, 0)
        self._texts: list[list[str | None]] = []
        self._looks: list[list[Look]] = []
        self._known: dict[Style | None, tuple[Look, Look]] = {}
        self._pen = PLAIN
        self._at: tuple[int, int] | None = None
        self._out: list[str] = []

    def forget(self) -> None:
        """The terminal may show anything: the next updates are written whole."""
        self._size = Size(0, 0)

    def least(self, update: Any, size: Size, colors: ColorSystem) -> Any:
        """The same update in fewer bytes; None when the terminal shows all of it already."""
        if not isinstance(update, (ChopsUpdate, LayoutUpdate)):
            if update is not None:
                self.forget()
            return update
        if size != self._size:
            self._size = size
            self._texts = [[UNKNOWN] * size.width for _ in range(size.height)]
            self._looks = [[PLAIN] * size.width for _ in range(size.height)]
        self._out, self._at = [], None
        for y, x, strip in _cropped(update) if isinstance(update, ChopsUpdate) else _whole(update):
            if 0 <= y < size.height:
                self._line(y, x, strip, colors)
        if self._pen != PLAIN:
            self._out.append("\x1b[0m")
            self._pen = PLAIN
        return Written("".join(self._out)) if self._out else None

    def _line(self, y: int, x: int, segments: Iterable[Segment], colors: ColorSystem) -> None:
        texts, looks = self._texts[y], self._looks[y]
        for text, style, _ in segments:
            solid, blank = self._known.get(style) or self._work_out(style, colors)
            look = blank if text.isspace() else solid
            simple = text.isascii() or all(get_character_cell_size(character) == 1 for character in text)
            length = len(text) if simple else cell_len(text)
            end = x + length
            if not simple or end > self._size.width or x < 0:
                # Wide and combining characters, and what hangs over the edge, are always written and never remembered.
                self._put(y, x, text, look)
                self._at = None
                texts[max(0, x) : end] = [UNKNOWN] * len(texts[max(0, x) : end])
            elif texts[x:end] != list(text) or looks[x:end] != [look] * length:
                first, last = 0, length
                while texts[x + first] == text[first] and looks[x + first] == look:
                    first += 1
                while texts[x + last - 1] == text[last - 1] and looks[x + last - 1] == look:
                    last -= 1
                self._put(y, x + first, text[first:last], look)
                texts[x:end] = list(text)
                looks[x:end] = [look] * length
            x = end

    def _put(self, y: int, x: int, text: str, look: Look) -> None:
        if self._at != (x, y):
            ahead = x - self._at[0] if self._at is not None and self._at[1] == y else 0
            self._out.append(f"\x1b[{ahead}C" if ahead > 0 else f"\x1b[{y + 1};{x + 1}H")
        if codes := self._change(look, blank=text.isspace()):
            self._out.append(f"\x1b[{codes}m")
        self._out.append(text)
        self._at = (x + len(text), y)

    def _change(self, look: Look, *, blank: bool) -> str:
        """The parameters that turn the pen into `look`; on blanks its ink and attributes may stay as they are."""
        pen = self._pen
        if blank and not look.marks_blanks and not pen.marks_blanks:
            look = Look(pen.attributes, pen.ink, look.ground)
        if look == pen:
            return ""
        self._pen = look
        # There are codes for the terminal's own colours, but a console without colours writes none at all: it resets.
        if look.attributes != pen.attributes or (pen.ink and not look.ink) or (pen.ground and not look.ground):
            return ";".join(part for part in ("0", *look) if part)
        return ";".join(new for new, old in zip(look[1:], pen[1:], strict=True) if new != old)

    def _work_out(self, style: Style | None, colors: ColorSystem) -> tuple[Look, Look]:
        """The look of this style, and that of blanks in it."""
        if len(self._known) >= MEMORY:
            self._known.clear()
        if style is None:
            look = PLAIN
        else:
            attributes = Strip.render_ansi(style.without_color.copy(), colors)
            ink = ";".join(style.color.downgrade(colors).get_ansi_codes()) if style.color else ""
            ground = ";".join(style.bgcolor.downgrade(colors).get_ansi_codes(foreground=False)) if style.bgcolor else ""
            look = Look(attributes, ink, ground)
        found = self._known[style] = (look, look if look.marks_blanks else Look(ground=look.ground))
        return found


def _cropped(update: ChopsUpdate) -> Iterable[tuple[int, int, Strip]]:
    for y, first, last in update.spans:
        for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if strip is not None and x < last and end > first:
                start = max(x, first)
                yield y, start, strip if start == x and end <= last else strip.crop(start - x, min(end, last) - x)


def _whole(update: LayoutUpdate) -> Iterable[tuple[int, int, Strip]]:
    for y, line in enumerate(update.strips, update.region.y):
        x = update.region.x
        for strip in line:
            yield y, x, strip
            x += strip.cell_length
