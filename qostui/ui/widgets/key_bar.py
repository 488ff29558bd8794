"""The footer of keys, read from the bindings that work where the focus is."""

from __future__ import annotations

from textual.app import App
from textual.binding import Binding
from textual.events import Resize
from textual.screen import Screen

from ..ink import Piece, cells, hints
from .line import Line

SHORT = {"space": "space", "enter": "enter", "escape": "esc", "question_mark": "?", "slash": "/", "colon": ":", "minus": "-"}
LEFT = ("table.open", "detail.close", "pane.filter", "table.sort", "table.mark")
ORDER = (*LEFT, "credentials.actions", "credentials.where", "pane.refresh", "pane.copy", "app.jump", "app.help", "app.quit")
"""From left to right."""
FIRST = ("detail.close", "table.open", "app.help", "app.quit", "pane.filter", "credentials.actions")
IMPORTANT = (*FIRST, "table.sort", "app.jump", "credentials.where", "table.mark", "pane.refresh", "pane.copy")
"""Who gets room first."""


class KeyBar(Line):
    """What to press here; what has no room is under `?`."""

    DEFAULT_CSS = "KeyBar { background: $panel; }"

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._update)

    def on_resize(self, _: Resize) -> None:
        self._update(self.screen)

    def _update(self, screen: Screen[object]) -> None:
        if screen is not self.screen:
            return
        room = (self.size.width or self.app.size.width) - 1
        gap = 2 if room < 110 else 3
        items = {binding.id or binding.action: hints((key_text(self.app, binding), binding.description)) for binding in shown(screen)}
        kept = set()
        for name in sorted(items, key=lambda name: IMPORTANT.index(name) if name in IMPORTANT else len(IMPORTANT)):
            need = cells(items[name]) + gap
            if need <= room + gap:
                kept.add(name)
                room -= need
        pieces: list[Piece] = [(" ", "")]
        for name, item in items.items():
            if name in kept:
                pieces += [*item, (" " * gap, "")]
        self.show(pieces[:-1])


def shown(screen: Screen[object]) -> list[Binding]:
    """The bindings that the footer names, one for each action with its first key, from left to right."""
    found: dict[str, Binding] = {}
    for active in screen.active_bindings.values():
        if active.binding.show and active.enabled and active.binding.description:
            found.setdefault(active.binding.id or active.binding.action, active.binding)
    return sorted(found.values(), key=lambda binding: ORDER.index(binding.id) if binding.id in ORDER else 3)


def key_text(app: App[object], binding: Binding) -> str:
    """A key as it is written on keyboards and in this program: `esc`, `?`, `ctrl+t`."""
    key = binding.key
    return SHORT.get(key) or (key if len(key) == 1 else app.get_key_display(binding).replace("^", "ctrl+").lower())
