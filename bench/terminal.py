"""A program on a real pseudo-terminal: its output recorded with times, keys sent to it, its CPU time and memory read.

Nothing is parsed while it runs, so that the harness costs as little as possible; `replay` looks at the record afterwards.
Its environment is made from nothing: what the person who measures has set decides nothing.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

SYNC_QUERY = b"\x1b[?2026$p"
SYNC_ANSWER = b"\x1b[?2026;2$y"
"""A modern terminal knows synchronized output (private mode 2026) and says that it is off at the moment (DECRPM)."""
READ_BYTES = 1 << 16
SIZE = (120, 40)
"""Columns and lines: the size that the console is designed for."""
KEYS = {"down": b"\x1b[B", "pgdn": b"\x1b[6~", "home": b"\x1b[H", "enter": b"\r", "escape": b"\x1b", "ctrl+t": b"\x14", "tab": b"\t"}
Wanted = bytes | Callable[[bytes], bool]
"""What is waited for in raw output: these bytes, or what a function finds in it."""
_CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one read gave, and when (seconds of time.perf_counter)."""

    at: float
    data: bytes


class Timeout(Exception):
    """What was waited for did not come; the text holds the end of the output."""


def environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a program in a modern terminal, with its home and XDG places below `home` (made if missing)."""
    places = {"XDG_CONFIG_HOME": "config", "XDG_STATE_HOME": "state", "XDG_CACHE_HOME": "cache", "XDG_RUNTIME_DIR": "runtime"}
    for place in places.values():
        (home / place).mkdir(parents=True, exist_ok=True, mode=0o700)
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "HOME": str(home),
        "PYTHONPATH": str(_CHECKOUT),
        **{name: str(home / place) for name, place in places.items()},
        **(extra or {}),
    }


class Terminal:
    """One program on one pseudo-terminal; as a context manager it is killed at the end."""

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        size: tuple[int, int] = SIZE,
        *,
        control: bool = False,
    ) -> None:
        """With `control`, the number of a descriptor that `command` writes to is added to the arguments."""
        self.size = size
        self.chunks: list[Chunk] = []
        self._control = -1
        self._tail = b""
        columns, lines = size
        reading = -1
        if control:
            reading, self._control = os.pipe()
        arguments = [*argv, str(reading)] if control else list(argv)
        window = struct.pack("HHHH", lines, columns, 0, 0)
        self.started = time.perf_counter()
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            try:
                if control:
                    os.set_inheritable(reading, True)
                fcntl.ioctl(0, termios.TIOCSWINSZ, window)
                os.execve(arguments[0], arguments, dict(env))
            finally:
                os._exit(127)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, window)
        if control:
            os.close(reading)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def written(self) -> int:
        """Bytes written by the program so far."""
        return sum(len(chunk.data) for chunk in self.chunks)

    def send(self, key: str | bytes) -> float:
        """Press a key (a name of KEYS, or its bytes); the moment just before."""
        data = key if isinstance(key, bytes) else KEYS.get(key, key.encode())
        at = time.perf_counter()
        os.write(self._fd, data)
        return at

    def command(self, line: str) -> float:
        """Tell a program of `bench.apps` what to do; the moment just before."""
        at = time.perf_counter()
        os.write(self._control, line.encode() + b"\n")
        return at

    def read(self, timeout: float) -> bytes:
        """One chunk, b"" when none came within `timeout` seconds; raises Timeout when the program has ended."""
        ready, _, _ = select.select([self._fd], [], [], max(0.0, timeout))
        if not ready:
            return b""
        try:
            data = os.read(self._fd, READ_BYTES)
        except OSError:
            data = b""
        if not data:
            raise Timeout(f"the program ended: {self.tail()!r}")
        self.chunks.append(Chunk(time.perf_counter(), data))
        looked_at = self._tail + data
        if SYNC_QUERY in looked_at:
            os.write(self._fd, SYNC_ANSWER)
        self._tail = b"" if SYNC_QUERY in looked_at else looked_at[-len(SYNC_QUERY) :]
        return data

    def listen(self, seconds: float) -> int:
        """Record for so long; bytes that came."""
        end = time.perf_counter() + seconds
        before = self.written
        while (left := end - time.perf_counter()) > 0:
            self.read(left)
        return self.written - before

    def settle(self, quiet: float, timeout: float = 30.0) -> int:
        """Record until nothing comes for `quiet` seconds; bytes that came. Raises Timeout."""
        end = time.perf_counter() + timeout
        before = self.written
        while self.read(quiet):
            if time.perf_counter() > end:
                raise Timeout(f"no quiet within {timeout:.0f} s")
        return self.written - before

    def wait_for(self, wanted: Wanted, timeout: float = 60.0, *, since: int | None = None) -> float:
        """Record until the raw output from chunk number `since` on (default: from here on) holds `wanted`; the moment of that chunk.

        Good for the end of a run; what a figure rests on is looked up in the replayed screen. Raises Timeout.
        """
        start = len(self.chunks) if since is None else since
        found = wanted if callable(wanted) else (lambda output: wanted in output)
        overlap = 4096
        kept = b"".join(chunk.data for chunk in self.chunks[start:])
        end = time.perf_counter() + timeout
        while not found(kept):
            left = end - time.perf_counter()
            if left <= 0:
                raise Timeout(f"{wanted!r} did not come within {timeout:.0f} s: {self.tail()!r}")
            kept = kept[-overlap:] + self.read(left)
        return self.chunks[-1].at

    def tail(self) -> bytes:
        """The last bytes of the output, for messages."""
        return b"".join(chunk.data for chunk in self.chunks[-20:])[-600:]

    def cpu(self) -> float:
        """Seconds on a processor of all threads so far (schedstat of each, nanoseconds; threads that ended are in stat)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        coarse = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        try:
            tasks = Path(f"/proc/{self.pid}/task").iterdir()
            return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
        except (OSError, ValueError):
            return coarse

    def memory(self) -> tuple[float, float]:
        """Resident and proportional set size in MiB: what the kernel counts in, and what the budgets were taken in."""
        values = {"Rss": 0.0, "Pss": 0.0}
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in values:
                values[name] = int(value.split()[0]) / 1024
        return values["Rss"], values["Pss"]

    def quit(self, key: str = "q", timeout: float = 10.0) -> int:
        """Press the key that ends the program and wait for it; its exit code. Raises Timeout."""
        self.send(key)
        end = time.perf_counter() + timeout
        while time.perf_counter() < end:
            try:
                self.read(0.05)
            except Timeout:
                break
        pid, status = os.waitpid(self.pid, 0 if time.perf_counter() < end else os.WNOHANG)
        if pid == 0:
            raise Timeout(f"the program did not end within {timeout:.0f} s")
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        """Kill the program if it still runs, and forget the terminal."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0
        os.close(self._fd)
        if self._control >= 0:
            os.close(self._control)
            self._control = -1
