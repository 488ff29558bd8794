"""What is written to the terminal: as little as can be, nothing erased on the way, and the right picture in the end."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.geometry import Region, Size
from textual.strip import Strip

from qostui.ui.paint import Painter, Written

from .replay import Grid
from .terminals import Terminal

CONSOLE = [sys.executable, "-m", "tests.functional.fakes"]
KEYS = (b"2", b"j", b"j", b"\r", b"\x1b", b" ", b"s", b"\x1b", b"3", b"G", b"4", b"1", b"?", b"\x1b", b":", b"ru", b"\x1b", b"-")
WIDTH, HEIGHT = 12, 3
STYLES = [
    None,
    *map(Style.parse, ("red", "red on blue", "on blue", "bold red", "reverse", "underline on blue", "bold", "default on default", "dim")),
]
WORDS = ["a", "ab ", "   ", "x", "●", "字", "ab字c", "e\u0301x", "  y"]


def made(pieces: list[tuple[str, Style | None]]) -> Strip:
    """A strip of exactly WIDTH cells."""
    return Strip([Segment(text, style) for text, style in pieces]).adjust_cell_length(WIDTH)


strips = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(STYLES)), max_size=6).map(made)
pictures = st.lists(strips, min_size=HEIGHT, max_size=HEIGHT)
spans = st.tuples(st.integers(0, WIDTH - 1), st.integers(1, WIDTH)).map(lambda pair: (min(pair), max(pair[1], min(pair) + 1)))


def shown(strips: list[Strip]) -> Grid:
    """The picture as it is when all of it is written plainly."""
    grid = Grid(WIDTH, HEIGHT)
    for y, strip in enumerate(strips):
        grid.feed(f"\x1b[{y + 1};1H" + "".join(Strip.render_style(s or Style(), t, ColorSystem.TRUECOLOR) for t, s, _ in strip))
    return grid


def seen(grid: Grid) -> list[list[tuple[object, ...]]]:
    return [[cell.seen for cell in line] for line in grid.cells]


def written(painter: Painter, update: object) -> str:
    least = painter.least(update, Size(WIDTH, HEIGHT), ColorSystem.TRUECOLOR)
    assert least is None or isinstance(least, Written)
    return "" if least is None else least.render_segments(Console())


@settings(max_examples=200, deadline=None)
@given(st.lists(pictures, min_size=1, max_size=5))
def test_whatever_was_there_the_new_picture_is_shown(changes: list[list[Strip]]) -> None:
    painter, grid = Painter(), Grid(WIDTH, HEIGHT)
    for picture in changes:
        text = written(painter, LayoutUpdate([[strip] for strip in picture], Region(0, 0, WIDTH, HEIGHT)))
        grid.feed(text)
        assert seen(grid) == seen(shown(picture))
    plain = [strip for strip in picture if strip.text.isascii()]
    if len(plain) == HEIGHT:
        assert written(painter, LayoutUpdate([[strip] for strip in picture], Region(0, 0, WIDTH, HEIGHT))) == ""


@settings(max_examples=200, deadline=None)
@given(pictures, pictures, st.lists(spans, min_size=HEIGHT, max_size=HEIGHT))
def test_a_part_of_the_screen_is_written_within_its_bounds(before: list[Strip], after: list[Strip], parts: list[tuple[int, int]]) -> None:
    ascii_only = [strip for strip in (*before, *after) if strip.text.isascii()]
    if len(ascii_only) < 2 * HEIGHT:
        return
    painter, grid = Painter(), Grid(WIDTH, HEIGHT)
    grid.feed(written(painter, LayoutUpdate([[strip] for strip in before], Region(0, 0, WIDTH, HEIGHT))))
    cuts = [(y, *part) for y, part in enumerate(parts)]
    grid.feed(written(painter, ChopsUpdate([{0: strip} for strip in after], cuts, [[WIDTH]] * HEIGHT)))
    old, new = seen(shown(before)), seen(shown(after))
    for y, first, last in cuts:
        assert seen(grid)[y] == old[y][:first] + new[y][first:last] + old[y][last:]


def test_after_forgetting_all_is_written_again() -> None:
    painter = Painter()
    update = LayoutUpdate([[made([("abc", None)])]] * HEIGHT, Region(0, 0, WIDTH, HEIGHT))
    first = written(painter, update)
    assert written(painter, update) == ""
    painter.forget()
    assert written(painter, update) == first


def test_changes_in_a_hidden_pane_write_nothing() -> None:
    with Terminal([*CONSOLE, "busy"], columns=120, lines=40) as terminal:
        terminal.wait_for("live")
        settle(terminal)
        # Rules change twenty times a second meanwhile, but the pane of RSEs is the one that is seen.
        assert terminal.read(2.0) == b""
        terminal.send(b"2")
        terminal.wait_for("REPLICATING")
        terminal.send(b"1")
        settle(terminal)
        assert terminal.read(2.0) == b"", "nor when it has been seen before"
        terminal.send(b"2")
        terminal.read(0.5)
        assert terminal.read(1.0), "when it is seen its changes are written"


def test_ctrl_l_paints_all_anew() -> None:
    with Terminal(CONSOLE, columns=100, lines=30) as terminal:
        terminal.wait_for("live")
        settle(terminal)
        terminal.send(b"\x0c")
        grid = Grid(100, 30)
        grid.feed(settle(terminal).decode())
        assert "lake-ops" in grid.lines[0]
        assert "SARA-DCACHE" in "".join(grid.lines)
        assert len(grid.written) == 100 * 30


def settle(terminal: Terminal) -> bytes:
    """Read until nothing comes for a while."""
    got = bytearray()
    while new := terminal.read_once(0.3):
        got += new
    return bytes(got)


@pytest.mark.parametrize("words", [(), ("ssh", "theme=sixteen")], ids=["local", "slow"])
def test_without_synchronized_output_nothing_flickers(words: tuple[str, ...]) -> None:
    """This terminal answers no query, like tmux before 3.7: what is written is seen at once, half-painted or not."""
    with Terminal([*CONSOLE, *words], columns=120, lines=40) as terminal:
        grid = Grid(120, 40)
        terminal.wait_for("live")
        settle(terminal)
        assert b"\x1b[?2026h" not in terminal.output
        grid.feed(terminal.output.decode())
        for key in KEYS:
            before = [list(line) for line in grid.cells]
            grid.forget()
            terminal.send(key)
            grid.feed(settle(terminal).decode())
            assert grid.erased == [], key
            for (x, y), texts in grid.written.items():
                if before[y][x].text != " " and texts[-1] != " ":
                    assert " " not in texts, f"after {key!r} the cell {x},{y} was blank for a moment"
                assert len(texts) <= 2, f"after {key!r} the cell {x},{y} was painted {len(texts)} times"
