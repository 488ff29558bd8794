"""All of an error: what is wrong, what to do next, and what the other side said."""

from __future__ import annotations

from ...domain.errors import Problem
from ...domain.text import clean
from ..ink import Piece
from .help import Dialog


class Explain(Dialog):
    """One problem in full."""

    def __init__(self, problem: Problem) -> None:
        lines: list[list[Piece]] = [
            [("✖ ", "error bold"), (clean(problem.summary), "bold")],
            [],
            [("kind      ", "muted"), (problem.category, "")],
            [("next step ", "muted"), (clean(problem.step) or "none is known", "")],
            [("by itself ", "muted"), ("it may pass; it is tried again" if problem.retry else "it will not pass by waiting", "")],
        ]
        if problem.detail:
            lines += [[], [("what the other side said", "bold heading")]]
            lines += [[(clean(line), "")] for line in str(problem.detail).splitlines()]
        super().__init__("Error", lines, indent=2)
