"""Inks: names of theme variables as Rich styles, and text cut to terminal cells without markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.app import App
from textual.color import Color, ColorParseError
from textual.strip import Strip

from ..domain.text import clean

Piece = tuple[str, str]
"""A text and its ink: words such as `bold state-ok on:panel` (see `Inks`)."""

ATTRIBUTES = frozenset({"bold", "dim", "italic", "reverse", "underline"})


class Inks(dict[str, Style]):
    """The styles of one theme by their spec: attributes, one theme variable for the text, `on:VARIABLE` for the ground.

    A colour may also be written out (`#a01020`); one that cannot be read is left away.
    """

    def __init__(self, variables: dict[str, str]) -> None:
        super().__init__()
        self._variables = variables

    def __missing__(self, spec: str) -> Style:
        style = self[spec] = _mix(self._variables, spec)
        return style


_inks: dict[tuple[str, bool], Inks] = {}


def inks(app: App[object]) -> Inks:
    """The styles of the theme that is worn; to be asked for once for each thing that is painted."""
    key = (app.theme, app.native_ansi_color)
    found = _inks.get(key)
    if found is None:
        found = _inks[key] = Inks(app.theme_variables)
    return found


def forget_inks() -> None:
    """Drop what was mixed: themes were loaded anew under the same names."""
    _inks.clear()


def _mix(variables: dict[str, str], spec: str) -> Style:
    style = Style()
    for word in spec.split():
        if word in ATTRIBUTES:
            style += Style.parse(word)
            continue
        ground = word.startswith("on:")
        name = word.removeprefix("on:")
        try:
            color = Color.parse(variables.get(name, name)).rich_color
        except ColorParseError:
            continue
        style += Style(bgcolor=color) if ground else Style(color=color)
    return style


def wall(text: str) -> str:
    """The second wall: whatever still is not printable is shown by its code."""
    return text if text.isprintable() else clean(str(text))


def fit(text: str, width: int, align: str = "left") -> str:
    """`text` in exactly `width` cells: padded, or cut with an ellipsis."""
    if width <= 0:
        return ""
    text = wall(text)
    if text.isascii():
        if len(text) > width:
            return text[: width - 1] + "…"
        return text.rjust(width) if align == "right" else text.ljust(width)
    cells = cell_len(text)
    if cells > width:
        return set_cell_size(text, width - 1) + "…"
    return " " * (width - cells) + text if align == "right" else text + " " * (width - cells)


def cells(pieces: Iterable[Piece]) -> int:
    """How many terminal cells the pieces take."""
    return sum(cell_len(wall(text)) for text, _ in pieces)


def strip(app: App[object], base: Style, left: Sequence[Piece], right: Sequence[Piece], width: int) -> Strip:
    """One line on the ground of `base`: `left` shortened as needed, `right` flush with the end."""
    right_cells = cells(right)
    if right_cells > width:
        right, right_cells = (), 0
    room = width - right_cells - (1 if right_cells else 0)
    styles = inks(app)
    segments: list[Segment] = []
    for text, spec in left:
        if room <= 0:
            break
        text = wall(text)
        length = cell_len(text)
        if length > room:
            text, length = fit(text, room), room
        segments.append(Segment(text, base + styles[spec]))
        room -= length
    segments.append(Segment(" " * (max(0, room) + (1 if right_cells else 0)), base))
    segments.extend(Segment(wall(text), base + styles[spec]) for text, spec in right)
    return Strip(segments, width)


def hints(*keys: tuple[str, str]) -> list[Piece]:
    """Keys and what they do, as every line of this program writes them."""
    pieces: list[Piece] = []
    for key, does in keys:
        pieces += [(key, "primary bold"), (f" {does}   ", "muted")]
    return [*pieces[:-1], (pieces[-1][0].rstrip(), "muted")] if pieces else []


def wrap(pieces: Sequence[Piece], width: int, indent: int = 0) -> list[list[Piece]]:
    """The pieces folded into lines of `width` cells; lines after the first are indented."""
    lines: list[list[Piece]] = [[]]
    room = width
    for text, spec in pieces:
        for word in _words(wall(text)):
            length = cell_len(word)
            if length > room and word.strip() and room < width - indent:
                lines.append([(" " * indent, "")] if indent else [])
                room = width - indent
            while length > room > 0:
                head = set_cell_size(word, room)
                head = head.rstrip() if cell_len(head.rstrip()) < room and not head.isspace() else head
                taken = max(1, len(head))
                lines[-1].append((word[:taken], spec))
                lines.append([(" " * indent, "")] if indent else [])
                room = max(1, width - indent)
                word = word[taken:]
                length = cell_len(word)
            if word and not (word.isspace() and room == width - indent and len(lines) > 1):
                lines[-1].append((word, spec))
                room -= length
    return lines


def _words(text: str) -> list[str]:
    words: list[str] = []
    word = ""
    for character in text:
        if character == " ":
            if word and not word.isspace():
                words.append(word)
                word = ""
            word += character
        else:
            if word.isspace():
                words.append(word)
                word = ""
            word += character
    if word:
        words.append(word)
    return words
