"""The table that a run prints, and the file that keeps it. Neither holds the name of a machine or a path."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .figures import Verdict

_HEADER = ("WHAT", "FIGURE", "COMPARED WITH", "RATIO", "BUDGET", "")
_PACKAGES = ("textual", "rucio-clients", "rich")


def table(verdicts: Sequence[Verdict], load: tuple[float, float, float]) -> list[str]:
    """The lines of the table, then the load average."""
    cells = [_HEADER, *(_cells(verdict) for verdict in verdicts)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(_HEADER))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return [*lines, f"load average {' '.join(f'{value:.2f}' for value in load)} on {os.cpu_count()} processors"]


def line(verdict: Verdict) -> str:
    """One verdict in one line."""
    return "  ".join(cell for cell in _cells(verdict) if cell)


def _cells(verdict: Verdict) -> tuple[str, ...]:
    figure, budget = verdict.figure, verdict.budget
    beside = "; ".join(f"{name} {_number(statistics.median(values))} {budget.unit}" for name, values in figure.beside.items())
    if budget.ratio is not None:
        limit = f"{budget.ratio:g} x = {_number(verdict.limit)} {budget.unit}"
    elif budget.most is not None:
        limit = f"{_number(budget.most)} {budget.unit}"
    else:
        limit = ""
    judged = ("ok" if verdict.kept else "OVER") if limit else "-"
    ratio = f"{verdict.ratio:.2f}" if verdict.ratio is not None else ""
    return (budget.what, f"{_number(figure.value)} {budget.unit}", beside, ratio, limit, judged)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def keep(verdicts: Sequence[Verdict], path: Path, repeat: int, load: tuple[float, float, float]) -> None:
    """Write the result file."""
    document = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "repeat": repeat,
        "load": [round(value, 2) for value in load],
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        "figures": {verdict.figure.name: _record(verdict) for verdict in verdicts},
    }
    path.write_text(json.dumps(document, indent=1) + "\n")


def _record(verdict: Verdict) -> dict[str, Any]:
    figure, budget = verdict.figure, verdict.budget
    judged = budget.ratio is not None or budget.most is not None
    return {
        "what": budget.what,
        "unit": budget.unit,
        "figure": round(figure.value, 3),
        "values": [round(value, 3) for value in figure.values],
        "beside": {name: [round(value, 3) for value in values] for name, values in figure.beside.items()},
        "ratio": round(verdict.ratio, 3) if verdict.ratio is not None else None,
        "limit": round(verdict.limit, 3) if judged else None,
        "kept": verdict.kept if judged else None,
        "note": figure.note,
    }
