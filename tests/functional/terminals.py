"""A real pseudo-terminal for a program under test, and what it left of it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from tests import canary

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Terminal:
    """Runs a program on a pseudo-terminal of its own, as its session's controlling terminal."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        columns: int = 100,
        lines: int = 30,
        environ: Mapping[str, str] | None = None,
        ignore_hangup: bool = False,
    ) -> None:
        self.master, self._slave = pty.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.before = termios.tcgetattr(self._slave)
        self.output = bytearray()
        """What was written, as far as the test has not cut it."""
        self._recording = bytearray()
        base = {"PATH": os.environ.get("PATH", ""), "HOME": os.environ.get("HOME", "/"), "TERM": "xterm-256color", "COLORTERM": "truecolor"}

        def prepare() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            if ignore_hangup:
                signal.signal(signal.SIGHUP, signal.SIG_IGN)

        self.process = subprocess.Popen(
            argv,
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            cwd=ROOT,
            preexec_fn=prepare,
            env={**base, "LANG": "C.UTF-8", "PYTHONPATH": ROOT, "PYTHONDONTWRITEBYTECODE": "1", **(environ or {})},
        )

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for descriptor in (self.master, self._slave):
            if descriptor >= 0:
                os.close(descriptor)
        canary.hear("terminal", canary.current_test(), bytes(self._recording))

    def read(self, seconds: float) -> bytes:
        """What is written within this time."""
        end = time.monotonic() + seconds
        new = bytearray()
        while (left := end - time.monotonic()) > 0:
            if not select.select([self.master], [], [], left)[0]:
                break
            try:
                data = os.read(self.master, 65536)
            except OSError:
                break
            new += data
        self.output += new
        self._recording += new
        return bytes(new)

    def read_once(self, seconds: float) -> bytes:
        """The next that is written, as soon as there is some; nothing when none comes within this time."""
        if not select.select([self.master], [], [], seconds)[0]:
            return b""
        try:
            new = os.read(self.master, 65536)
        except OSError:
            return b""
        self.output += new
        self._recording += new
        return new

    def wait_for(self, text: str, seconds: float = 20) -> None:
        """Read until `text` was written; raises TimeoutError."""
        end = time.monotonic() + seconds
        while text.encode() not in self.output:
            if time.monotonic() > end or self.process.poll() is not None:
                raise TimeoutError(f"{text!r} was not written; the end was {bytes(self.output[-500:])!r}")
            self.read(0.1)

    def send(self, data: bytes) -> None:
        """Type."""
        while data:
            data = data[os.write(self.master, data[:1024]) :]

    def signal(self, number: int) -> None:
        """Send a signal to the program."""
        self.process.send_signal(number)

    def exit_code(self, seconds: float = 10, *, reading: bool = True) -> int:
        """Wait for the end; raises TimeoutError."""
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            if time.monotonic() > end:
                raise TimeoutError("the program did not end")
            self.read(0.05) if reading else time.sleep(0.05)
        if reading:
            self.read(0.1)
        return self.process.returncode

    def hang_up(self) -> None:
        """The terminal is gone."""
        os.close(self._slave)
        os.close(self.master)
        self.master = self._slave = -1

    @property
    def attributes(self) -> list[Any]:
        """How the terminal is set now."""
        return termios.tcgetattr(self._slave)

    @property
    def restored(self) -> bool:
        """Line discipline as before, alternate screen left, cursor shown."""
        output = bytes(self.output)
        left = output.rfind(b"\x1b[?1049l") > output.rfind(b"\x1b[?1049h")
        return self.attributes == self.before and left and output.rfind(b"\x1b[?25h") > output.rfind(b"\x1b[?25l")
