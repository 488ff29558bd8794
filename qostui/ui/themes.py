"""Colour themes: TOML files, checked colour by colour, so that a broken one is a message and not a crash."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
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
    """The themes that could be read, and for each other file what is wrong with it."""

    themes: tuple[Theme, ...] = ()
    failed: tuple[tuple[Path, SafeText], ...] = field(default=())


def shipped() -> Path:
    """The directory of the themes that come with the program: in the wheel, else in the checkout."""
    installed = Path(str(files("qostui"))) / "_themes"
    return installed if installed.is_dir() else Path(__file__).resolve().parents[2] / "themes"


def load(directories: Sequence[Path]) -> Loaded:
    """All themes of these directories; a later one replaces an earlier one of the same name."""
    themes: dict[str, Theme] = {}
    failed: list[tuple[Path, SafeText]] = []
    for directory in directories:
        for path in sorted(directory.glob("*.toml")):
            try:
                theme = read(path)
            except (OSError, ValueError) as error:
                failed.append((path, clean(error)))
            else:
                themes[theme.name] = theme
    return Loaded(tuple(themes.values()), tuple(failed))


def read(path: Path) -> Theme:
    """The theme in `path`; raises OSError, or ValueError saying which key is wrong."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
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
    known["variables"] = {key: value if key.endswith("-style") else _color(key, value) for key, value in variables.items()}
    for key, value in known["variables"].items():
        if key.endswith("-style") and value not in ("none", "bold", "reverse", "bold reverse", "underline"):
            raise ValueError(f"{key}: none, bold, reverse, bold reverse or underline, not {value!r}")
    return Theme(**known)


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
