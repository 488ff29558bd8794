"""What the console needs of the terminal and of the line to it, and what Textual must be told before it is imported."""

from __future__ import annotations

import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import IO

from ..domain.errors import UsageProblem

KEPT = frozenset({"TEXTUAL_COLOR_SYSTEM", "TEXTUAL_DISABLE_KITTY_KEY"})
"""TEXTUAL_* that only say what the terminal can do; all others change the program and are for developers."""


@dataclass(frozen=True, slots=True)
class Line:
    """How much the console writes, chosen for the line between it and the person."""

    slow: bool
    frames: int
    """Frames a second at most: what comes within one is written once."""
    drain_every: float
    """Seconds between two looks at what the feeds bring."""
    background_step: int
    """Without the focus of the terminal only every so-many-th look is taken."""
    seconds: bool
    """The header's clock has seconds: a line to write in each of them."""


LOCAL = Line(slow=False, frames=240, drain_every=0.1, background_step=2, seconds=True)
SLOW = Line(slow=True, frames=20, drain_every=0.2, background_step=10, seconds=False)
"""For 256 kbit/s and 150 ms there and back. The first frame after a pause is painted at once whatever the rate, so that a single
key waits no longer than with 240 frames; keys that are held down share frames instead of filling the line."""


def line(environ: Mapping[str, str], wanted: bool | None = None) -> Line:
    """The line to write for: as `wanted`, else slow when the environment is that of an SSH log-in."""
    slow = wanted if wanted is not None else bool(environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"))
    return SLOW if slow else LOCAL


def check(environ: Mapping[str, str], stdin: IO[str] | None = None, stdout: IO[str] | None = None) -> None:
    """Raise UsageProblem where the console cannot run."""
    ends = (stdin or sys.__stdin__, stdout or sys.__stdout__, sys.__stderr__ if stdout is None else stdout)
    if not all(end is not None and not end.closed and end.isatty() for end in ends):
        raise UsageProblem("the console needs a terminal", step="use qostui --once, or a command such as: qostui rules")
    if environ.get("TERM", "") in ("", "dumb", "unknown"):
        raise UsageProblem("the console cannot paint on a terminal of type dumb", step="set TERM, or use qostui --once")


def prepare(environ: MutableMapping[str, str], written_for: Line = LOCAL, *, development: bool = False) -> None:
    """Set what Textual 8.2.8 reads when it is imported: frame rate, no animations.

    `TEXTUAL_LOG` and the like are dropped unless asked for: a full disk under the log would stop the console.
    """
    if not development:
        for name in [name for name in environ if name.startswith("TEXTUAL") and name not in KEPT]:
            del environ[name]
    environ.setdefault("TEXTUAL_FPS", str(written_for.frames))
    environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    environ.setdefault("TEXTUAL_SMOOTH_SCROLL", "0")
    # An empty NO_COLOR means nothing (no-color.org), but Textual takes it as set.
    if not environ.get("NO_COLOR", ""):
        environ.pop("NO_COLOR", None)


def colourless(environ: Mapping[str, str]) -> bool:
    """The user wants no colours."""
    return bool(environ.get("NO_COLOR", ""))


def few_colours(environ: Mapping[str, str]) -> bool:
    """The terminal has sixteen colours or fewer."""
    term = environ.get("TERM", "")
    return not environ.get("COLORTERM") and (term in ("linux", "vt100", "vt220", "ansi", "xterm", "screen") or term.endswith("-16color"))
