"""A slow line between a terminal and a program, in user space: `python -m bench.slow_line -- PROGRAM ARGUMENT...`.

Each way has its own rate and delay, as an SSH connection over a thin, far line has. What the line cannot take waits in a
buffer of the size of a socket's; when that is full, the program's writes block, as they do over SSH.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import pty
import select
import signal
import sys
import termios
import time
import tty
from collections import deque

RATE = 256_000 / 8
"""Bytes a second each way."""
DELAY = 0.150
"""Seconds each way; a round trip is twice that."""
ROOM = 16_384
"""Bytes that may wait for the line (Linux' first size of a TCP send buffer)."""
PIECE = 512
"""Bytes that travel together, about a packet on such a line."""

_PR_SET_PDEATHSIG = 1


class Line:
    """One direction: bytes go in at one moment and come out later, in order, no faster than the rate."""

    def __init__(self, rate: float = RATE, delay: float = DELAY, room: int = ROOM) -> None:
        self._rate = rate
        self._delay = delay
        self._room = room
        self._free_at = 0.0
        self._under_way: deque[tuple[float, bytes]] = deque()

    def waiting(self, now: float) -> int:
        """Bytes that are not yet on the line."""
        return round(max(0.0, self._free_at - now) * self._rate)

    def room(self, now: float) -> int:
        """Bytes that may be put in."""
        return max(0, self._room - self.waiting(now))

    def put(self, data: bytes, now: float) -> None:
        """Send these bytes, `now` in seconds of any clock."""
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            self._free_at = max(self._free_at, now) + len(piece) / self._rate
            self._under_way.append((self._free_at + self._delay, piece))

    def take(self, now: float) -> bytes:
        """What has arrived by now."""
        arrived = []
        while self._under_way and self._under_way[0][0] <= now:
            arrived.append(self._under_way.popleft()[1])
        return b"".join(arrived)

    def next_arrival(self) -> float | None:
        """When the next bytes arrive, None while nothing is under way."""
        return self._under_way[0][0] if self._under_way else None


def relay(near: tuple[int, int], far: int, room: int = ROOM) -> None:
    """Carry bytes between the near terminal (descriptors to read and to write) and the far one until the far one closes."""
    there, back = Line(room=room), Line(room=room)
    while True:
        now = time.perf_counter()
        _write(far, there.take(now))
        _write(near[1], back.take(now))
        reading = [near[0]] if there.room(now) else []
        reading += [far] if back.room(now) >= PIECE else []
        arrivals = [at for at in (there.next_arrival(), back.next_arrival()) if at is not None]
        pause = min([max(0.0, at - now) for at in arrivals] or [0.05]) if arrivals else 0.05
        ready, _, _ = select.select(reading, [], [], min(pause, 0.05))
        now = time.perf_counter()
        if far in ready:
            try:
                data = os.read(far, min(4096, back.room(now)))
            except OSError:
                data = b""
            if not data:
                return
            back.put(data, now)
        if near[0] in ready:
            there.put(os.read(near[0], 4096), now)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def main(arguments: list[str]) -> int:
    """Run the program behind the line; its exit code, 1 when it was killed."""
    argv = arguments[arguments.index("--") + 1 :]
    window = fcntl.ioctl(0, termios.TIOCGWINSZ, b"\0" * 8)
    tty.setraw(0)
    pid, far = pty.fork()
    if pid == 0:
        try:
            # Whoever measures kills this relay when done, and nothing may stay.
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            fcntl.ioctl(0, termios.TIOCSWINSZ, window)
            os.execv(argv[0], argv)
        finally:
            os._exit(127)
    fcntl.ioctl(far, termios.TIOCSWINSZ, window)
    relay((0, 1), far)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if code >= 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
