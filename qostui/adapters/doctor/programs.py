"""Starting other programs to look at them: an environment from nothing, a time limit, and at most some kilobytes of answer."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

from ...services.feeds import Cancel

MAX_ANSWER = 16 << 10
PLACES = "/usr/local/bin:/usr/bin:/bin"


def ran(command: Sequence[str], cancel: Cancel, *, limit_s: float = 8.0, path: str = "", **env: str) -> tuple[int, str]:
    """(exit status, what it wrote); -1 and why when it could not be started or did not end in time."""
    environment = {"PATH": path or PLACES, "HOME": "/nonexistent", "LANG": "C.UTF-8", **env}
    with TemporaryFile() as written:
        try:
            process = subprocess.Popen(
                list(command), env=environment, cwd="/", stdin=subprocess.DEVNULL, stdout=written, stderr=written, start_new_session=True
            )
        except OSError as error:
            return -1, f"{command[0]}: {error.strerror}"
        cancel.closes(lambda: _kill(process))
        try:
            status = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            _kill(process)
            process.wait()
            return -1, f"{command[0]} did not end within {limit_s:.0f} s"
        written.seek(0)
        return status, written.read(MAX_ANSWER).decode("utf-8", "replace").strip()


def _kill(process: subprocess.Popen[bytes]) -> None:
    # With its children: it leads a group of its own. One that has been waited for may have given its number to another.
    if process.returncode is None:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)


def found_at(name: str, path: str) -> Path | None:
    """Where a program lies on that search path."""
    found = shutil.which(name, path=path)
    return Path(found) if found else None
