"""A log-in by a code: where to go with a browser, what to type there, how long it holds, and the same as a QR code."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.screen import ModalScreen

from ...domain.text import clean
from ...domain.units import left_text
from ...services.ports_credentials import DeviceCode
from ..ink import Piece, hints
from ..widgets.line import Line, Sheet

DARK_ON_LIGHT = "#000000 on:#ffffff"
"""Whatever the theme: cameras look for dark squares on light ground."""
HALVES = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}
"""(upper, lower) module, 1 for dark -> one cell."""
BORDER = 2
"""Light modules around the code; the standard wants four, readers are content with two, and terminals are small."""
WORDS = 36
"""Cells that the text beside the code needs."""


class DeviceLogin(ModalScreen[None]):
    """Shows what the provider gave; `copy` gets the address, `left` hears that the reader gave up."""

    DEFAULT_CSS = """
    DeviceLogin { align: center middle; background: $background 60%; }
    DeviceLogin > Vertical {
        width: 92; max-width: 100%; height: 90%; max-height: 30; background: $panel; border: round $primary; padding: 0 1;
    }
    DeviceLogin Line, DeviceLogin Sheet { background: $panel; }
    DeviceLogin #qr { display: none; margin-right: 2; }
    DeviceLogin:ansi > Vertical { background: ansi_default; }
    """
    AUTO_FOCUS = "Sheet"
    BINDINGS = [
        Binding("escape,q", "leave", "give up", id="device.leave"),
        Binding("c", "copy", "copy the address", id="device.copy"),
    ]

    def __init__(self, provider: str, now: Callable[[], datetime], copy: Callable[[str, str], None], left: Callable[[], None]) -> None:
        super().__init__()
        self._provider = provider
        self._now = now
        self._copy = copy
        self._left = left
        self._code: DeviceCode | None = None
        self._qr: list[str] = []
        self._sheet = Sheet()
        self._picture = Sheet(id="qr")
        self._picture.can_focus = False

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Line([(f"Log in at {clean(self._provider)}", "bold primary")], hints(("c", "copies the address"), ("esc", "gives up")))
            with Horizontal():
                yield self._picture
                yield self._sheet

    def on_mount(self) -> None:
        self._show()
        self.set_interval(1.0, self._show)

    def on_resize(self, _: Resize) -> None:
        self.call_after_refresh(self._show)

    def show_code(self, code: DeviceCode) -> None:
        """The provider has given a code."""
        self._code = code
        self._qr = half_blocks(code.whole_address or code.address)
        self._show()

    def _show(self) -> None:
        code = self._code
        if code is None:
            self._sheet.show([[], [("… asking for a code", "muted")]])
            return
        lines: list[list[Piece]] = [
            [],
            [("Open  ", "muted"), (clean(code.address), "bold")],
            [],
            [("type  ", "muted"), (clean(code.code), "bold primary")],
            [],
            [("and approve what is asked there", "muted")],
            [],
            [("left  ", "muted"), (left_text(code.expires, self._now()), "")],
        ]
        if self._qr and not self._show_picture():
            lines += [[], [(f"On {len(self._qr) + 6} lines of {len(self._qr[0]) + WORDS + 8} cells there is a QR code here.", "muted")]]
        self._sheet.show(lines, indent=6)

    def _show_picture(self) -> bool:
        """Show the QR code if it fits whole, since a part of one is of no use; says whether it does."""
        room = self._picture.parent.size if isinstance(self._picture.parent, Horizontal) else self.size
        fits = room.height >= len(self._qr) and room.width >= len(self._qr[0]) + WORDS
        self._picture.display = fits
        if fits:
            self._picture.styles.width = len(self._qr[0])
            self._picture.show([[(line, DARK_ON_LIGHT)] for line in self._qr])
        return fits

    def action_copy(self) -> None:
        if self._code is not None:
            self._copy(self._code.whole_address or self._code.address, "the address")

    def action_leave(self) -> None:
        self.dismiss(None)
        self._left()


def half_blocks(text: str) -> list[str]:
    """The QR code of a text, two rows of modules in each line; none where the library that makes them is not installed."""
    try:
        segno: Any = import_module("segno")
        code = segno.make_qr(text, error="l")
    except (ImportError, ValueError):
        # ValueError: more text than a QR code holds.
        return []
    rows = [[int(bool(module)) for module in row] for row in code.matrix_iter(scale=1, border=BORDER)]
    if len(rows) % 2:
        rows.append([0] * len(rows[0]))
    return ["".join(HALVES[pair] for pair in zip(upper, lower, strict=True)) for upper, lower in zip(rows[::2], rows[1::2], strict=True)]
