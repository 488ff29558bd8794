"""The operator's own editor, on this terminal."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ..domain.errors import UsageProblem

FALLBACK = "vi"
"""What POSIX systems have when neither variable is set."""


def edit(path: Path, env: Mapping[str, str] = os.environ) -> None:
    """Open the file in $VISUAL, else $EDITOR, and wait for its end; raises UsageProblem when it does not end well."""
    command = env.get("VISUAL") or env.get("EDITOR") or FALLBACK
    try:
        words = shlex.split(command)
        ended = subprocess.run([*words, str(path)], check=False).returncode
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageProblem(
            f"the editor {command!r} cannot be started: {reason}", step="set $VISUAL or $EDITOR, or give KEY=VALUE"
        ) from None
    if ended != 0:
        raise UsageProblem(f"the editor {words[0]} ended with status {ended}: nothing was changed", step="run the command again")
