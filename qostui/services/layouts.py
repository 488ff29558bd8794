"""The columns as a person arranged them, kept between runs in one small JSON file. A file that cannot be read means none."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from ..domain.table import Layout
from . import files

VERSION = 1
NARROWEST, WIDEST = 3, 200
"""Cells that a column may be set to."""
_PLAIN = Layout()


class Layouts:
    """The layout of each view, by the view's id."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._kept: dict[str, Layout] = {}
        if file is not None:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
                document = json.loads(file.read_text(encoding="utf-8"))
                if document["version"] == VERSION:
                    self._kept = {str(name): _layout(each) for name, each in document["views"].items()}

    def of(self, view_id: str) -> Layout:
        """The layout of a view; one without any change when none is kept."""
        return self._kept.get(view_id, _PLAIN)

    def keep(self, view_id: str, layout: Layout) -> None:
        """Remember it, on disk where that is possible: a full disk or a read-only home costs only the memory of it."""
        self._kept[view_id] = layout
        if self._file is None:
            return
        document = {"version": VERSION, "views": {name: _record(each) for name, each in self._kept.items() if each != _PLAIN}}
        with contextlib.suppress(OSError):
            files.replace(self._file, json.dumps(document, indent=1))


def _layout(record: dict[str, Any]) -> Layout:
    widths = {str(name): int(width) for name, width in record["widths"].items() if NARROWEST <= int(width) <= WIDEST}
    return Layout(frozenset(map(str, record["hidden"])), frozenset(map(str, record["shown"])), tuple(sorted(widths.items())))


def _record(layout: Layout) -> dict[str, Any]:
    return {"hidden": sorted(layout.hidden), "shown": sorted(layout.shown), "widths": dict(layout.widths)}
