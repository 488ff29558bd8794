"""Programs that speak with the operator on the terminal itself, while the console has left it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from ..domain.errors import UsageProblem
from ..domain.text import clean


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """The exit status of the program (negative: the signal that ended it), run on our standard streams in this environment only.

    Raises UsageProblem when there is no such program, or it cannot be run.
    """
    try:
        return subprocess.run(list(arguments), env=dict(environment), check=False).returncode
    except OSError as error:
        name = clean(arguments[0] if arguments else "")
        raise UsageProblem(f"{name} cannot be run: {clean(error.strerror)}", step=f"install what brings {name}, or mend PATH") from error
