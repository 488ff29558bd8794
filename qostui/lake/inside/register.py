"""The secrets this lake has made, so that a test can look for each of them wherever none may be.

`live/register` is appended to only, by every process that makes a secret; the image holds what was made at install.
Standard library only.
"""

from __future__ import annotations

import json
import os
import re

from .state import State

_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\n(.*?)-----END", re.DOTALL)


def note(state: State, *secrets: str) -> None:
    """Add secrets, one JSON text a line, to the file of mode 0600; `live/` must exist. Raises OSError."""
    lines = "".join(json.dumps(secret) + "\n" for secret in secrets)
    descriptor = os.open(state.register, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        # One write for all: the kernel puts no other process's lines in between.
        os.write(descriptor, lines.encode())
    finally:
        os.close(descriptor)


def key_lines(pem: bytes) -> list[str]:
    """A line from the middle of each private key of a PEM text: behind the modulus, which is public, and so telling."""
    bodies = (body.split() for body in _PRIVATE_KEY.findall(pem.decode("ascii", "replace")))
    return [lines[len(lines) // 2] for lines in bodies]
