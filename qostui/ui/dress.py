"""How the console is dressed: which theme it wears, when it writes no colour, and themes that change while it runs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.segment import Segment
from rich.style import Style
from textual.app import App
from textual.color import Color
from textual.filter import LineFilter, Monochrome, NoColor
from textual.widget import Widget

from . import terminal, themes
from .ink import forget_inks
from .ports import SettingsPort

LOOK_EVERY = 2.0
"""Seconds between two looks at the directories of themes."""
REVERSE = Style(reverse=True)


class Colourless(LineFilter):
    """Takes all colours out, so that not even the code for the terminal's own is written; a ground of its own becomes reverse."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [Segment(text, style and _plain(style), control) for text, style, control in segments]


def _plain(style: Style) -> Style:
    lit = style.bgcolor is not None and not style.bgcolor.is_default
    return style.without_color + REVERSE if lit else style.without_color


class Wardrobe:
    """The themes there are, and which of them an app is to wear."""

    def __init__(self, settings: SettingsPort, directories: tuple[Path, ...], environ: Mapping[str, str], line: terminal.Line) -> None:
        self._directories = (themes.shipped(), *directories)
        self._environ = environ
        self._wanted = settings.theme_over_ssh if line.slow and settings.theme_over_ssh else settings.theme
        self.loaded = themes.load(self._directories)

    @property
    def names(self) -> list[str]:
        """Names of the themes that are ours, not Textual's."""
        return [theme.name for theme in self.loaded.themes]

    def dress(self, app: App[int]) -> None:
        """Register the themes and put the wanted one on, at the start."""
        app._filters[:] = [each for each in app._filters if not isinstance(each, (NoColor, Monochrome))]
        app._filters.append(Colourless(enabled=False))
        self._register(app)
        wanted = themes.resolve(self._wanted, list(app.available_themes))
        if terminal.colourless(self._environ):
            wanted = themes.resolve("none", list(app.available_themes))
        elif self._wanted == themes.DEFAULT and terminal.few_colours(self._environ):
            wanted = themes.resolve("sixteen", list(app.available_themes))
        self.wear(app, wanted or themes.resolve(themes.DEFAULT, list(app.available_themes)) or "textual-dark")

    def wear(self, app: App[int], name: str) -> None:
        """Put this theme on."""
        plain = terminal.colourless(self._environ) or themes.colourless(app.available_themes[name])
        app.no_color = plain
        for each in app._filters:
            if isinstance(each, Colourless):
                each.enabled = plain
        app.theme = name
        # Textual works the variables out later only; what is painted until then, and its inks, would be of the old theme.
        app.get_css_variables()
        forget_inks()
        for screen in app.screen_stack if app.is_running else ():
            for widget in screen.walk_children(Widget):
                widget.refresh()

    def faults(self, app: App[int]) -> list[str]:
        """What is wrong with the themes, one sentence each."""
        told = [f"theme {path.name}: {reason}" for path, reason in self.loaded.failed]
        if themes.resolve(self._wanted, list(app.available_themes)) is None:
            told.append(f"no theme is called {self._wanted}; there are {', '.join(sorted(map(themes.short, self.names)))}")
        return told

    def reload(self, app: App[int], loaded: themes.Loaded) -> list[str]:
        """Take what was found on a later look; a file that cannot be read now keeps the colours it had. Says what is new."""
        before, self.loaded = self.loaded, loaded.over(self.loaded)
        names = set(self.names)
        for theme in before.themes:
            if theme.name not in names and theme.name != app.theme:
                app.unregister_theme(theme.name)
        self._register(app)
        if app.current_theme not in before.themes and app.theme in names:
            self._again(app)
        told = [f"theme {path.name}: {reason}" for path, reason in loaded.failed if (path, reason) not in before.failed]
        new = sorted(themes.short(name) for name in names - {theme.name for theme in before.themes})
        return told + [f"theme {name} is there: :theme {name}" for name in new]

    def _register(self, app: App[int]) -> None:
        for theme in self.loaded.themes:
            if app.available_themes.get(theme.name) != theme:
                app.register_theme(theme)

    def _again(self, app: App[int]) -> None:
        """The theme that is worn has other colours under the same name: Textual looks only when the name changes."""
        name = app.theme
        app.theme = next(other for other in app.available_themes if other != name)
        self.wear(app, name)

    def watch(self, found: Callable[[themes.Loaded], object]) -> Callable[[], None]:
        """Look for changed files from now on, in a thread, since a home directory on a network may hang; ends when called."""
        ended = threading.Event()
        threading.Thread(target=self._look, args=(ended, found), name="qostui-themes", daemon=True).start()
        return ended.set

    def _look(self, ended: threading.Event, found: Callable[[themes.Loaded], object]) -> None:
        seen = signature(self._directories[1:])
        while not ended.wait(LOOK_EVERY):
            now = signature(self._directories[1:])
            if now != seen:
                seen = now
                with contextlib.suppress(RuntimeError):  # the app has ended meanwhile
                    found(themes.load(self._directories))


def signature(directories: tuple[Path, ...]) -> tuple[object, ...]:
    """What tells one state of the directories from another: file, when it was written, size, who may write."""
    found: list[object] = []
    for directory in directories:
        for path in themes.files_in(directory):
            with contextlib.suppress(OSError):
                entry = path.stat()
                found.append((path, entry.st_mtime_ns, entry.st_size, entry.st_ino, entry.st_mode, entry.st_uid))
    return tuple(found)
