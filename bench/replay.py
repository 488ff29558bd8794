"""Looks at a recorded run as the eye would: the chunks are played into a terminal emulator, frame by frame.

A frame counts from the moment at which the terminal may show it: when no synchronized update (private mode 2026) is open.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import pyte

from .terminal import Chunk

CURSOR = "▌"
"""What the console paints at the left of the row under the cursor."""
_BEGIN, _END = b"\x1b[?2026h", b"\x1b[?2026l"
_UNKNOWN = re.compile(rb"\x1b\[[<=>][0-9;:]*[a-zA-Z]|\x1bP[^\x1b]*\x1b\\")
"""Keyboard protocols and device control strings, which pyte would print as text."""
_OPEN_END = re.compile(rb"\x1b(?:\[[0-9;:<=>?$]*)?$|\x1b[P\]][^\x07\x1b]*\x1b?$")
"""An escape sequence that goes on in the next chunk."""


class Replay:
    """A screen that recorded chunks are played into."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self.screen)
        self._rest = b""
        self._open = False

    def play(self, data: bytes) -> None:
        """Take in output."""
        for _ in self._play(data):
            pass

    def frames(self, chunks: Sequence[Chunk]) -> Iterator[float]:
        """Play the chunks; the time of each frame that is shown, while the screen shows it.

        One chunk may end several frames: on a busy line the next begins where the last one ends.
        """
        for chunk in chunks:
            for _ in self._play(chunk.data):
                yield chunk.at

    def _play(self, data: bytes) -> Iterator[None]:
        data = self._rest + data
        cut = _OPEN_END.search(data)
        self._rest = data[cut.start() :] if cut else b""
        data = data[: cut.start()] if cut else data
        while data:
            end = data.find(_END)
            part, data = (data[: end + len(_END)], data[end + len(_END) :]) if end >= 0 else (data, b"")
            self._open = (self._open or _BEGIN in part) and end < 0
            self._stream.feed(_UNKNOWN.sub(b"", part))
            if not self._open:
                yield

    def line(self, number: int) -> str:
        """The text of one line of the screen."""
        cells = self.screen.buffer[number]
        return "".join(cells[column].data for column in range(self.screen.columns)).rstrip()

    def text(self) -> str:
        """All lines of the screen."""
        return "\n".join(self.line(number) for number in range(self.screen.lines))

    def cursor_line(self) -> int | None:
        """The line with the console's cursor sign in its first cell, None when there is none."""
        buffer = self.screen.buffer
        return next((number for number in range(self.screen.lines) if buffer[number][0].data == CURSOR), None)

    def lit_line(self, column: int = 2) -> int | None:
        """The one line whose background is like that of no other: the cursor of a DataTable. The screen's first two are left out."""
        grounds: dict[str, list[int]] = {}
        for number in range(2, self.screen.lines):
            grounds.setdefault(self.screen.buffer[number][column].bg, []).append(number)
        single = [numbers[0] for numbers in grounds.values() if len(numbers) == 1]
        return single[0] if len(single) == 1 else None


def first_moment(chunks: Sequence[Chunk], size: tuple[int, int], shows: Callable[[Replay], bool]) -> float | None:
    """When the replayed screen first shows what is wanted; None when it never does."""
    replay = Replay(size)
    return next((at for at in replay.frames(chunks) if shows(replay)), None)


def name_at(replay: Replay, number: int | None) -> str:
    """The first word of a table's line, without cursor sign and mark: the DID of a rule, the name of an RSE; "" without a line."""
    if number is None:
        return ""
    words: list[str] = replay.line(number)[2:].split(maxsplit=1) if replay.line(number)[:1] in (CURSOR, " ") else []
    return words[0] if words else ""


def key_moments(frames: Iterable[tuple[float, int | None]], sent: Sequence[float], reached: Sequence[int]) -> list[float | None]:
    """When each key had its effect: the first frame after it that shows a place at least as far as the key leads.

    `frames` are (moment, place shown, None for none) in order; `sent` moments and `reached` growing places of the same
    keys. None for a key without effect.
    """
    moments: list[float | None] = [None] * len(sent)
    waiting = 0
    for at, place in frames:
        while waiting < len(sent) and at >= sent[waiting] and place is not None and place >= reached[waiting]:
            moments[waiting] = at
            waiting += 1
    return moments
