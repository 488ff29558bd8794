"""When garbage is collected: never because memory was taken, only between drains, and all of it only while no key is pressed.

Python's own collector stops everything for 40-80 ms when it looks through 100,000 rows, in the middle of whatever key is
being handled (measured with Python 3.11). Rows are freed by reference counts; what has to be looked for is little.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Protocol

YOUNG = 5000
"""So many new objects are looked through between two drains, in about half a millisecond."""
OLDER_S = 10.0
"""Seconds between looks through those that outlived a few drains."""
GROWN = 5000
"""After so many new rows all that is there is set aside: it is no garbage, and looking through it is what takes long."""
QUIET_S = 2.0
"""Nobody has pressed a key for so long: then all that was not set aside is looked through."""
ALL_S = 60.0


class Gc(Protocol):
    """What is used of the module gc."""

    def disable(self) -> None: ...

    def enable(self) -> None: ...

    def freeze(self) -> None: ...

    def collect(self, generation: int = 2, /) -> int: ...

    def get_count(self) -> tuple[int, int, int]: ...


class Collector:
    """Takes the timing of the collector over while the console runs; `tick` is called at each drain."""

    def __init__(self, module: Gc = gc, clock: Callable[[], float] = time.monotonic) -> None:
        self._gc = module
        self._clock = clock
        self._key_at = self._older_at = self._all_at = clock()
        self._rows = 0

    def start(self) -> None:
        """What was made up to now stays for good: it is set aside."""
        self._gc.disable()
        self._gc.freeze()

    def stop(self) -> None:
        """Give the timing back."""
        self._gc.enable()

    def key_pressed(self) -> None:
        """A person is at work."""
        self._key_at = self._clock()

    def tick(self, rows: int) -> None:
        """Collect what the moment allows; `rows` is how many rows the console holds."""
        now = self._clock()
        if rows - self._rows >= GROWN:
            self._gc.collect(0)
            self._gc.freeze()
            self._rows = rows
        elif now - self._key_at >= QUIET_S and now - self._all_at >= ALL_S:
            self._gc.collect()
            self._all_at = self._older_at = now
            self._rows = min(self._rows, rows)
        elif now - self._older_at >= OLDER_S:
            self._gc.collect(1)
            self._older_at = now
        elif self._gc.get_count()[0] >= YOUNG:
            self._gc.collect(0)
