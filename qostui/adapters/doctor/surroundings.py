"""Checks of the terminal that the console would draw on, and of the places of its files."""

from __future__ import annotations

import locale
import os
import re
import shutil
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ... import paths
from ...domain.finding import Finding
from ...domain.units import bytes_text
from ...services.feeds import Cancel
from . import programs
from .case import Case, fault, note, ok, warning

LEAST_SIZE = (80, 24)
LEAST_COLORS = 16
FREE_WARNING, FREE_FAULT = 100 << 20, 1 << 20


def check_kind(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """What the terminal says it is, and how many colours that has."""
    return judged_kind(os.environ, _colors(os.environ.get("TERM", "")), sys.stdout.isatty())


def judged_kind(env: Mapping[str, str], colors: int | None, is_terminal: bool) -> list[Finding]:
    """What TERM means for the console; `colors` is terminfo's number, None when it does not know the terminal."""
    check, term = "terminal.kind", env.get("TERM", "")
    if not is_terminal and term in ("", "dumb"):
        return [ok(check, "TERM", "no terminal: the console prints its panes as tables")]
    if term in ("", "dumb"):
        return [
            warning(
                check, "TERM", f"TERM is {term or 'not set'}, so the console prints tables instead of drawing", "export TERM=xterm-256color"
            )
        ]
    if colors is None:
        return [
            warning(check, "TERM", f"this machine does not know the terminal {term}", "install ncurses-term, or export TERM=xterm-256color")
        ]
    if env.get("NO_COLOR"):
        return [note(check, "TERM", "NO_COLOR is set: states are told by glyphs and words alone", "unset NO_COLOR")]
    if colors < LEAST_COLORS and env.get("COLORTERM", "") not in ("truecolor", "24bit"):
        summary = f"the terminal {term} has {max(colors, 0)} colours"
        return [note(check, "TERM", summary, 'export TERM=xterm-256color, or set theme = "sixteen"')]
    return [ok(check, "TERM", f"the terminal {term} has {colors} colours")]


def _colors(term: str) -> int | None:
    import curses

    try:
        curses.setupterm(term or "dumb", os.open(os.devnull, os.O_WRONLY))
        return curses.tigetnum("colors")
    except curses.error:
        return None


def check_locale(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """That text is UTF-8: bars, glyphs and names need it."""
    encoding = (sys.stdout.encoding or locale.getpreferredencoding(False)).lower()
    if encoding.replace("-", "").replace("_", "") == "utf8":
        return [ok("terminal.locale", "locale", "text is UTF-8")]
    summary = f"text is {encoding} here, so bars and glyphs cannot be drawn"
    return [warning("terminal.locale", "locale", summary, "export LC_ALL=C.UTF-8")]


def check_size(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """That the terminal is large enough."""
    for stream in (sys.stdout, sys.stderr, sys.stdin):
        try:
            found = os.get_terminal_size(stream.fileno())
        except (OSError, ValueError, AttributeError):
            continue
        return judged_size(found.columns, found.lines)
    return ()


def judged_size(columns: int, lines: int) -> list[Finding]:
    """What a size means."""
    size = f"{columns}x{lines}"
    if columns < LEAST_SIZE[0] or lines < LEAST_SIZE[1]:
        summary = f"the terminal is {size}: below 80x24 columns and lines are cut off"
        return [warning("terminal.size", "size", summary, "make the window larger, or its font smaller")]
    return [ok("terminal.size", "size", f"the terminal is {size}")]


def check_tmux(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """That what the console copies reaches the clipboard through tmux."""
    if not os.environ.get("TMUX"):
        return ()
    path, session = os.environ.get("PATH", programs.PLACES), os.environ["TMUX"]
    version = programs.ran(["tmux", "-V"], cancel, path=path, TMUX=session)
    shown = programs.ran(["tmux", "show-options", "-s", "-v", "set-clipboard"], cancel, path=path, TMUX=session)
    return judged_tmux(version[1] if version[0] == 0 else "", shown[1] if shown[0] == 0 else "")


def judged_tmux(version: str, clipboard: str) -> list[Finding]:
    """What tmux's version (`tmux 3.3a`) and its set-clipboard mean; "" where it did not tell."""
    check = "terminal.tmux"
    found = re.search(r"(\d+)\.(\d+)", version)
    if found is not None and (int(found[1]), int(found[2])) < (2, 6):
        return [
            note(check, "tmux", f"{version} passes no copied text on by itself", "update tmux to 2.6 or later, or: set -s set-clipboard on")
        ]
    if clipboard not in ("on", "external"):
        summary = (
            f"set-clipboard of tmux is {clipboard or 'unknown'}: what the console copies stays inside"
            if clipboard
            else "tmux does not say what set-clipboard is"
        )
        return [note(check, "tmux", summary, "tmux set -s set-clipboard external")]
    return [ok(check, "tmux", f"{version or 'tmux'} passes copied text on (set-clipboard {clipboard})")]


def check_configuration(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """That nobody else can change the configuration: whoever can sends our credentials elsewhere."""
    check, file = "places.configuration", getattr(case.settings, "file", None) or paths.config_file()
    for path in (file, file.parent):
        try:
            found = path.stat()
        except OSError:
            continue
        if found.st_uid not in (os.geteuid(), 0) and os.geteuid() != 0:
            return [fault(check, path, f"{path} belongs to another user (uid {found.st_uid})", f"look at it: ls -ld {path}")]
        if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
            return [fault(check, path, f"others can change {path} (mode {stat.S_IMODE(found.st_mode):04o})", f"chmod go-w {path}")]
    return [ok(check, file, f"the configuration is {file}" if file.exists() else f"there is no configuration yet ({file})")]


def check_state(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """The directory of what outlives a restart."""
    return directory("places.state", Path(case.settings.state_dir), "the state directory", private=False)


def check_runtime(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """The directory of short-lived secrets."""
    found = directory("places.runtime", Path(case.settings.runtime_dir), "the runtime directory", private=True)
    if found[0].level == "ok" and not os.environ.get("XDG_RUNTIME_DIR"):
        summary = f"XDG_RUNTIME_DIR is not set: sessions lie in {case.settings.runtime_dir} and outlive the log-in"
        return [note("places.runtime", case.settings.runtime_dir, summary, "log in by a session that sets it (pam_systemd)")]
    return found


def directory(check: str, path: Path, what: str, *, private: bool) -> list[Finding]:
    """Whether a directory of ours can be used, or made where it is missing; `private` for one that nobody else may look into."""
    try:
        found: os.stat_result | None = os.stat(path)
    except FileNotFoundError:
        found = None
    except OSError as error:
        return [fault(check, path, f"{what} {path}: {error.strerror}", "free the path, or set the XDG variable to another")]
    at = path
    while found is None and not at.exists() and at != at.parent:
        at = at.parent
    if found is not None:
        if not stat.S_ISDIR(found.st_mode):
            return [fault(check, path, f"{what} {path} is no directory", f"look at it, then remove it: ls -ld {path}")]
        if found.st_uid != os.geteuid():
            return [fault(check, path, f"{what} {path} belongs to another user (uid {found.st_uid})", f"look at it: ls -ld {path}")]
        if found.st_mode & (0o077 if private else 0o022):
            mode = f"{stat.S_IMODE(found.st_mode):04o}"
            return [fault(check, path, f"{what} {path} is open to others (mode {mode})", f"chmod 700 {path}")]
    if not os.access(at, os.W_OK | os.X_OK):
        return [
            fault(
                check,
                path,
                f"{what} {path} cannot be written",
                f"look at the owner and mode of {at}, or set the XDG variable to another place",
            )
        ]
    free = shutil.disk_usage(at).free
    if free < FREE_WARNING:
        summary = f"{what} {path} has {bytes_text(free)} left"
        step = f"make room on the file system of {at}"
        return [fault(check, path, summary, step) if free < FREE_FAULT else warning(check, path, summary, step)]
    return [ok(check, path, f"{what} {path} can be written, {bytes_text(free)} left")]
