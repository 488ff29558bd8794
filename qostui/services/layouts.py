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
WAIT_S = 0.2
"""Another console writes for milliseconds; a person who drags a column waits no longer than that."""
_PLAIN = Layout()


class Layouts:
    """The layout of each view, by the view's id."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._kept: dict[str, Layout] = {} if file is None else _read(file)

    def of(self, view_id: str) -> Layout:
        """The layout of a view; one without any change when none is kept."""
        return self._kept.get(view_id, _PLAIN)

    def keep(self, view_id: str, layout: Layout) -> None:
        """Remember it, on disk where that is possible: a full disk or a read-only home costs only the memory of it."""
        self._kept[view_id] = layout
        if self._file is None:
            return
        with contextlib.suppress(OSError), files.alone(self._file, WAIT_S):
            # What another console has kept of its views meanwhile stays.
            views = {**_read(self._file), view_id: layout}
            document = {"version": VERSION, "views": {name: _record(each) for name, each in views.items() if each != _PLAIN}}
            files.replace(self._file, json.dumps(document, indent=1))


def _read(file: Path) -> dict[str, Layout]:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        document = json.loads(file.read_text(encoding="utf-8"))
        if document["version"] == VERSION:
            return {str(name): _layout(each) for name, each in document["views"].items()}
    return {}


def _layout(record: dict[str, Any]) -> Layout:
    widths = {str(name): int(width) for name, width in record["widths"].items() if NARROWEST <= int(width) <= WIDEST}
    return Layout(frozenset(map(str, record["hidden"])), frozenset(map(str, record["shown"])), tuple(sorted(widths.items())))


def _record(layout: Layout) -> dict[str, Any]:
    return {"hidden": sorted(layout.hidden), "shown": sorted(layout.shown), "widths": dict(layout.widths)}
