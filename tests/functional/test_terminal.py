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


def test_over_ssh_fewer_frames_are_painted() -> None:
    environ = {"SSH_CONNECTION": "1 2 3 4"}
    terminal.prepare(environ)
    assert environ["TEXTUAL_FPS"] == "120"


def test_no_color_is_taken_as_it_is_meant() -> None:
    environ = {"NO_COLOR": "1"}
    terminal.prepare(environ)
    assert environ["TEXTUAL_THEME"] == "ansi-dark"
    empty = {"NO_COLOR": ""}
    terminal.prepare(empty)
    assert "NO_COLOR" not in empty
    assert "TEXTUAL_THEME" not in empty


def test_the_way_in_imports_no_textual() -> None:
    program = "import qostui.ui.app, sys; print([name for name in sys.modules if name.split('.')[0] in ('textual', 'rucio', 'requests')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_the_screen_imports_no_rucio() -> None:
    heavy = "('rucio', 'requests', 'urllib3', 'keyring')"
    program = f"import qostui.ui.console, sys; print([name for name in sys.modules if name.split('.')[0] in {heavy}])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_without_colour_no_colour_code_is_written() -> None:
    import re

    from .terminals import Terminal

    with Terminal([sys.executable, "-m", "tests.functional.fakes"], environ={"NO_COLOR": "1"}) as seen:
        seen.wait_for("live")
        seen.send(b"2")
        seen.wait_for("STUCK")
        seen.send(b"j")
        seen.read(0.5)
        sequences = re.findall(rb"\x1b\[([\d;]*)m", bytes(seen.output))
        assert sequences
        codes = {int(code or 0) for sequence in sequences for code in sequence.split(b";")}
        own = {39, 49}  # the terminal's own colours
        assert not {code for code in codes - own if 30 <= code <= 49 or 90 <= code <= 107}
        assert 7 in codes, "the row under the cursor is shown reversed"


def test_copied_text_goes_out_as_osc_52_and_through_tmux() -> None:
    assert clipboard.sequence("hé", tmux=False) == "\x1b]52;c;aMOp\x07"
    assert clipboard.sequence("a", tmux=True).endswith("\x1bPtmux;\x1b\x1b]52;c;YQ==\x07\x1b\\")
    with pytest.raises(ValueError, match="too long"):
        clipboard.sequence("x" * 80_000, tmux=False)
