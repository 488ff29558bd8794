"""Locks between consoles: one process at a time changes what several share."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..domain.errors import ConnectionProblem, CredentialProblem
from ..services.feeds import Cancelled

LIMIT_S = 150.0
"""Longer than what is done under a lock: two calls of a provider that trickles."""
_LOOK_S = 0.05


@contextmanager
def held(path: Path, what: str, wanted: Callable[[], bool] = lambda: True, limit_s: float = LIMIT_S) -> Iterator[None]:
    """Hold the lock `path` (made when missing, 0600), waiting for whoever has it; `what` is what it guards, for people.

    Threads of one process exclude each other too. Raises ConnectionProblem after `limit_s`, Cancelled once not `wanted`, and
    CredentialProblem where the file cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise CredentialProblem(f"cannot lock {path}: {error.strerror}", step="is the file system full or read-only?") from error
    try:
        deadline = time.monotonic() + limit_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not wanted():
                    raise Cancelled from None
                if time.monotonic() >= deadline:
                    raise ConnectionProblem(
                        f"another console is busy with {what}, and does not end", step="end it, then try again"
                    ) from None
                time.sleep(_LOOK_S)
        yield
    finally:
        os.close(descriptor)
