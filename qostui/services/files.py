"""Files that are replaced in one step: readers and the next run see the old text or the new one, never a part."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

LOOK_AGAIN_S = 0.02


def replace(path: Path, text: str) -> None:
    """Write `text` (UTF-8, mode 0600) to a temporary name, sync it, rename it over `path`; raises OSError, leaving no trace."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}-", delete=False, encoding="utf-8") as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


@contextmanager
def alone(path: Path, wait_s: float = 10.0) -> Iterator[None]:
    """Nobody else is in such a block for the same `path`, in this process or in another: flock(2) on `PATH.lock`, which stays.

    Raises TimeoutError after `wait_s`, another OSError where the lock file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        end = time.monotonic() + wait_s
        while not _locked(descriptor):
            if time.monotonic() >= end:
                raise TimeoutError(errno.ETIMEDOUT, "another process is writing it", str(path))
            time.sleep(LOOK_AGAIN_S)
        yield
    finally:
        # Closing gives the lock back. Removing the file would let two in: one with the old file, one with a new one.
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
