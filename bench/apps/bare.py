"""The least that Textual can be: one label; each key is counted in it. Its first paint and its echo are the yardstick."""

from __future__ import annotations

import sys

from textual.app import App, ComposeResult
from textual.events import Key
from textual.widgets import Static

READY = "HERE-IT-IS"


class Bare(App[None]):
    """One label."""

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        self._label = Static(READY)

    def compose(self) -> ComposeResult:
        yield self._label

    def on_key(self, event: Key) -> None:
        if event.key == "q":
            self.exit()
            return
        self._count += 1
        self._label.update(f"KEY-{self._count:05d}")


if __name__ == "__main__":
    Bare().run(mouse=False)
    sys.exit(0)
