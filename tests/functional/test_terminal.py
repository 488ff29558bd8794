"""Where the console starts, and what Textual is told before it is imported."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from qostui.domain.errors import UsageProblem
from qostui.ui import clipboard, terminal

from .terminals import ROOT


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_it_refuses_what_is_not_a_terminal() -> None:
    with pytest.raises(UsageProblem, match="needs a terminal"):
        terminal.check({"TERM": "xterm"}, io.StringIO(), Tty())
    with pytest.raises(UsageProblem, match="needs a terminal"):
        terminal.check({"TERM": "xterm"}, Tty(), io.StringIO())


@pytest.mark.parametrize("term", ["", "dumb", "unknown"])
def test_it_refuses_terminals_that_cannot_paint(term: str) -> None:
    with pytest.raises(UsageProblem, match="dumb") as caught:
        terminal.check({"TERM": term}, Tty(), Tty())
    assert "--once" in caught.value.step


def test_the_settings_of_developers_are_dropped() -> None:
    environ = {"TEXTUAL_LOG": "/nowhere/log", "TEXTUAL": "devtools", "TEXTUAL_PRESS": "q", "TEXTUAL_COLOR_SYSTEM": "256", "HOME": "/"}
    terminal.prepare(environ)
    assert environ == {
        "TEXTUAL_COLOR_SYSTEM": "256",
        "HOME": "/",
        "TEXTUAL_FPS": "240",
        "TEXTUAL_ANIMATIONS": "none",
        "TEXTUAL_SMOOTH_SCROLL": "0",
    }
    kept = {"TEXTUAL_LOG": "/log"}
    terminal.prepare(kept, development=True)
    assert kept["TEXTUAL_LOG"] == "/log"


@pytest.mark.parametrize(
    ("environ", "wanted", "slow"),
    [
        ({}, None, False),
        ({"SSH_CONNECTION": "1 2 3 4"}, None, True),
        ({"SSH_TTY": "/dev/pts/1"}, None, True),
        ({"SSH_TTY": ""}, None, False),
        ({"SSH_CONNECTION": "1 2 3 4"}, False, False),
        ({}, True, True),
    ],
)
def test_the_line_is_slow_over_ssh_or_when_it_is_said_so(environ: dict[str, str], wanted: bool | None, slow: bool) -> None:
    assert terminal.line(environ, wanted) is (terminal.SLOW if slow else terminal.LOCAL)


def test_on_a_slow_line_fewer_frames_are_painted() -> None:
    environ: dict[str, str] = {}
    terminal.prepare(environ, terminal.SLOW)
    assert (environ["TEXTUAL_FPS"], environ["TEXTUAL_ANIMATIONS"]) == ("20", "none")


def test_no_color_is_taken_as_it_is_meant() -> None:
    empty = {"NO_COLOR": ""}
    terminal.prepare(empty)
    assert "NO_COLOR" not in empty
    kept = {"NO_COLOR": "1"}
    terminal.prepare(kept)
    assert terminal.colourless(kept)


def test_the_way_in_imports_no_textual() -> None:
    program = "import qostui.ui.app, sys; print([name for name in sys.modules if name.split('.')[0] in ('textual', 'rucio', 'requests')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_the_screen_imports_no_rucio() -> None:
    heavy = "('rucio', 'requests', 'urllib3', 'keyring')"
    program = f"import qostui.ui.console, sys; print([name for name in sys.modules if name.split('.')[0] in {heavy}])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("theme", ["light", "sixteen"])
def test_without_colour_no_colour_code_is_written_whatever_theme_is_asked_for(theme: str) -> None:
    import re

    from .terminals import Terminal

    with Terminal([sys.executable, "-m", "tests.functional.fakes", f"theme={theme}"], environ={"NO_COLOR": "1"}) as seen:
        seen.wait_for("live")
        steps = ((b"2", "STUCK"), (b"?", "Keys and words"), (b"\x1b", ""), (b"\x10", "Go to"), (b"\x1b", ""), (b"j:", "completes"))
        for key, shown in steps:
            seen.send(key)
            seen.wait_for(shown)
            seen.read(0.3)
        seen.send(b"theme dark\r")
        seen.read(0.5)
        sequences = re.findall(rb"\x1b\[([\d;:]*)m", bytes(seen.output))
        assert sequences
        codes = {int(code or 0) for sequence in sequences for code in re.split(rb"[;:]", sequence)}
        colours = {code for code in codes if 30 <= code <= 49 or 90 <= code <= 107}
        assert not colours
        assert 7 in codes, "the row under the cursor is shown reversed"


def test_the_theme_without_colours_writes_none_and_still_shows_what_is_chosen() -> None:
    from .replay import Grid
    from .terminals import Terminal

    with Terminal([sys.executable, "-m", "tests.functional.fakes", "theme=none"]) as seen:
        grid = Grid(100, 30)
        seen.wait_for("live")
        seen.send(b"2")
        seen.wait_for("STUCK")
        seen.read(0.3)
        grid.feed(seen.output.decode())
        assert [y for y, line in enumerate(grid.cells) if "7" in line[40].attributes] == [4], "the row under the cursor"
        seen.send(b"\x10")
        seen.wait_for("Go to")
        seen.send(b"\x1b[B")
        while seen.read_once(0.5):
            pass
        grid = Grid(100, 30)
        grid.feed(seen.output.decode())
        chosen = [text for text, line in zip(grid.lines, grid.cells, strict=True) if "7" in line[5].attributes and "Go to" in text]
        assert len(chosen) == 1
        cells = [cell for line in grid.cells for cell in line]
        assert {cell.ink for cell in cells} | {cell.ground for cell in cells} == {""}
        assert {code for cell in cells for code in cell.attributes} <= {"1", "2", "4", "7"}


def test_copied_text_goes_out_as_osc_52_and_through_tmux() -> None:
    assert clipboard.sequence("hé", tmux=False) == "\x1b]52;c;aMOp\x07"
    assert clipboard.sequence("a", tmux=True).endswith("\x1bPtmux;\x1b\x1b]52;c;YQ==\x07\x1b\\")
    with pytest.raises(ValueError, match="too long"):
        clipboard.sequence("x" * 80_000, tmux=False)


@pytest.mark.parametrize(
    ("burst", "shown"), [(b":transfers\r", "FROM"), (b":profile lake-reader\r", "read-only"), (b"2/state:stuck\r", "state:stuck")]
)
def test_what_is_typed_in_one_burst_goes_where_its_first_key_leads(burst: bytes, shown: str) -> None:
    from .terminals import Terminal

    with Terminal([sys.executable, "-m", "tests.functional.fakes"]) as seen:
        seen.wait_for("live")
        seen.send(burst)
        seen.wait_for(shown)
