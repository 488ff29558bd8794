"""What the console needs of the terminal, and what Textual must be told before it is imported."""

from __future__ import annotations

import sys
from collections.abc import Mapping, MutableMapping
from typing import IO

from ..domain.errors import UsageProblem

KEPT = frozenset({"TEXTUAL_COLOR_SYSTEM", "TEXTUAL_DISABLE_KITTY_KEY"})
"""TEXTUAL_* that only say what the terminal can do; all others change the program and are for developers."""
LOCAL_FPS = 240
SSH_FPS = 120


def check(environ: Mapping[str, str], stdin: IO[str] | None = None, stdout: IO[str] | None = None) -> None:
    """Raise UsageProblem where the console cannot run."""
    ends = (stdin or sys.__stdin__, stdout or sys.__stdout__, sys.__stderr__ if stdout is None else stdout)
    if not all(end is not None and not end.closed and end.isatty() for end in ends):
        raise UsageProblem("the console needs a terminal", step="use qostui --once, or a command such as: qostui rules")
    if environ.get("TERM", "") in ("", "dumb", "unknown"):
        raise UsageProblem("the console cannot paint on a terminal of type dumb", step="set TERM, or use qostui --once")


def prepare(environ: MutableMapping[str, str], *, development: bool = False) -> None:
    """Set what Textual 8.2.8 reads when it is imported: frame rate, no animations, colours.

    `TEXTUAL_LOG` and the like are dropped unless asked for: a full disk under the log would stop the console.
    """
    if not development:
        for name in [name for name in environ if name.startswith("TEXTUAL") and name not in KEPT]:
            del environ[name]
    remote = "SSH_CONNECTION" in environ or "SSH_TTY" in environ
    environ.setdefault("TEXTUAL_FPS", str(SSH_FPS if remote else LOCAL_FPS))
    environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    environ.setdefault("TEXTUAL_SMOOTH_SCROLL", "0")
    # An empty NO_COLOR means nothing (no-color.org), but Textual takes it as set.
    if not environ.get("NO_COLOR", ""):
        environ.pop("NO_COLOR", None)
    else:
        # Only with an ansi theme chosen before the app is made does Textual write no colour codes at all.
        environ["TEXTUAL_THEME"] = "ansi-dark"


def colourless(environ: Mapping[str, str]) -> bool:
    """The user wants no colours."""
    return bool(environ.get("NO_COLOR", ""))


def few_colours(environ: Mapping[str, str]) -> bool:
    """The terminal has sixteen colours or fewer."""
    term = environ.get("TERM", "")
    return not environ.get("COLORTERM") and (term in ("linux", "vt100", "vt220", "ansi", "xterm", "screen") or term.endswith("-16color"))
