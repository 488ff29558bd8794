"""The short way from a key to the screen.

Textual 8.2.8 sends a key through the queues of the app, the focused widget, the screen and the app again until its binding
is found, and the repaint it asks for through those of the widget, the screen and a timer. Each of these eight steps is a
turn of the event loop, and at each turn a thread that decodes rows may take the interpreter for some milliseconds. Where
nothing between could want the key, its binding is run at once, and what it changed is painted at once.
"""

from __future__ import annotations

import time
from typing import Any

from textual.app import App
from textual.events import Key

from .widgets.live_table import LiveTable


class Shortcut:
    """Runs the bindings of a table, and paints what they changed as often as the line to the terminal may have frames."""

    def __init__(self, app: App[Any], frames: int) -> None:
        self._app = app
        self._apart = 1 / frames
        self._painted_at = 0.0

    async def take(self, event: Key) -> bool:
        """Do what the key is bound to; False when it has to go the long way."""
        table = self._app.focused
        if event.is_forwarded or not isinstance(table, LiveTable) or not table.has_only_bindings:
            return False
        self._app.app_focus = True  # as Textual does: some terminals do not tell that the focus came back
        if not (await self._app._check_bindings(event.key, priority=True) or await self._app._check_bindings(event.key)):
            return False
        self._paint(table)
        return True

    def _paint(self, table: LiveTable[Any]) -> None:
        """Paint the table, and all else that waits; or leave it to Textual, a moment later."""
        now = time.monotonic()
        wanted = table.is_attached and table._repaint_required and not table._layout_required and not self._app._batch_count
        if not wanted or now - self._painted_at < self._apart:
            return
        self._painted_at = now
        screen = table.screen
        if table._scroll_required:
            table._scroll_required = False
            screen._scroll_required = True
        table._repaint_required = False
        screen._dirty_widgets.add(table)
        screen._on_timer_update()
