"""Colour themes: TOML files, checked colour by colour, so that a broken one is a message and not a crash."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from textual.color import Color, ColorParseError
from textual.theme import Theme

from ..domain.text import SafeText, clean

COLORS = ("primary", "secondary", "warning", "error", "success", "accent", "foreground", "background", "surface", "panel", "boost")
FLAGS = ("dark", "ansi")
DEFAULT = "qostui"
NONE = "ansi_default"
"""A theme in which all of COLORS are this writes no colour codes at all."""
LARGEST = 64 * 1024
"""Bytes beyond which a file is no theme."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

VARIABLES = {
    "state-ok": "#22c55e",
    "state-replicating": "#f59e0b",
    "state-stuck": "#ef4444",
    "state-suspended": "#64748b",
    "state-approval": "#a78bfa",
    "state-waiting": "#a78bfa",
    "state-inject": "#c084fc",
    "fts-submitted": "#cbd5a0",
    "fts-ready": "#9ed5ff",
    "fts-staging": "#d580d5",
    "fts-archiving": "#4fb0cc",
    "fts-active": "#4c9be8",
    "fts-dirty": "#faa732",
    "fts-canceled": "#c27a72",
    "type-disk": "#22c55e",
    "type-tape": "#a78bfa",
    "muted": "#7f8b99",
    "changed": "#3b3a1c",
    "cursor": "#1f3a5f",
    "cursor-blurred": "#22303f",
    "heading": "#9fb3c8",
    "scroll": "#34506e",
}
"""What every theme has beside Textual's own colours; states as Rucio's web interface paints them."""


@dataclass(frozen=True)
class Loaded:
    """The themes that could be read by their file, and for each other file what is wrong with it."""

    by_file: Mapping[Path, Theme] = field(default_factory=dict)
    failed: tuple[tuple[Path, SafeText], ...] = ()

    @property
    def themes(self) -> tuple[Theme, ...]:
        """One for each name: a later file replaces an earlier one."""
        return tuple({theme.name: theme for theme in self.by_file.values()}.values())

    def over(self, before: Loaded) -> Loaded:
        """These, and in the place of files that can no longer be read what they held before."""
        kept = {path: before.by_file[path] for path, _ in self.failed if path in before.by_file}
        order = sorted({**kept, **self.by_file}, key=lambda path: list((*before.by_file, *self.by_file)).index(path))
        return Loaded({path: self.by_file.get(path) or kept[path] for path in order}, self.failed)


def shipped() -> Path:
    """The directory of the themes that come with the program: in the wheel, else in the checkout."""
    installed = Path(str(files("qostui"))) / "_themes"
    return installed if installed.is_dir() else Path(__file__).resolve().parents[2] / "themes"


def load(directories: Sequence[Path]) -> Loaded:
    """All themes of these directories. Those that come with the program are not asked whose they are."""
    themes: dict[Path, Theme] = {}
    failed: list[tuple[Path, SafeText]] = []
    for directory in directories:
        for path in files_in(directory):
            try:
                themes[path] = read(path, foreign=directory != shipped())
            except (OSError, ValueError) as error:
                failed.append((path, clean(error.strerror if isinstance(error, OSError) and error.strerror else error)))
    return Loaded(themes, tuple(failed))


def files_in(directory: Path) -> list[Path]:
    """The theme files in a directory; none when it cannot be listed."""
    return sorted(directory.glob("*.toml"))


def read(path: Path, *, foreign: bool = True) -> Theme:
    """The theme in `path`; raises OSError, or ValueError saying what is wrong.

    A `foreign` one must be a plain file that only its owner and root can change, and that belongs to one of them.
    """
    try:
        data = tomllib.loads(_text(path, foreign))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not TOML: {error}") from error
    variables = data.pop("variables", {})
    if not isinstance(variables, dict):
        raise ValueError("variables: a table is needed")
    known: dict[str, Any] = {"name": data.pop("name", path.stem)}
    for key, value in data.items():
        if key in FLAGS and isinstance(value, bool):
            known[key] = value
        elif key in COLORS:
            known[key] = _color(key, value)
        else:
            raise ValueError(f"{key}: no such setting, or not of its kind; there are {', '.join((*COLORS, *FLAGS))} and [variables]")
    if not isinstance(known["name"], str) or "primary" not in known:
        raise ValueError("a theme needs a name and the colour primary")
    if not NAME.fullmatch(known["name"]):
        raise ValueError(f"name: {known['name']!r}: letters, digits, _ . and -, up to 64")
    known["variables"] = {key: value if key.endswith("-style") else _color(key, value) for key, value in variables.items()}
    for key, value in known["variables"].items():
        if key.endswith("-style") and value not in ("none", "bold", "reverse", "bold reverse", "underline"):
            raise ValueError(f"{key}: none, bold, reverse, bold reverse or underline, not {value!r}")
    return Theme(**known)


def _text(path: Path, foreign: bool) -> str:
    if foreign and path.is_symlink() and path.lstat().st_uid not in (0, os.geteuid()):
        raise ValueError("a link that somebody else made")
    # Not blocking: something that is not a file, such as a pipe, must not stop the console.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("not a file")
        if foreign and found.st_uid not in (0, os.geteuid()):
            raise ValueError("belongs to somebody else")
        if foreign and found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise ValueError(f"others can write to it; chmod go-w {path}")
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(LARGEST + 1)
    finally:
        os.close(descriptor)
    if len(data) > LARGEST:
        raise ValueError(f"larger than {LARGEST // 1024} KiB")
    return data.decode("utf-8")


def colourless(theme: Theme) -> bool:
    """Is this a theme of no colours."""
    return {getattr(theme, name) for name in COLORS} <= {NONE, None}


def _color(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{key}: a colour is a text such as #22c55e")
    try:
        Color.parse(value)
    except ColorParseError as error:
        raise ValueError(f"{key}: {value!r} is not a colour; write #rrggbb or ansi_red") from error
    return value


def resolve(name: str, known: Sequence[str]) -> str | None:
    """The theme that `name` means: its full name, or without `qostui-`; None when there is none."""
    if name == "dark":
        return DEFAULT
    return next((candidate for candidate in (name, f"qostui-{name}") if candidate in known), None)


def short(name: str) -> str:
    """The name of a theme as it can be typed: without `qostui-`."""
    return "dark" if name == DEFAULT else name.removeprefix("qostui-")
