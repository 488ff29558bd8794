"""What a table is, apart from any screen: columns as data, views, filters and sort orders over immutable rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from .text import SafeText


class Row(Protocol):
    """An immutable row: any frozen dataclass with a key that stays the same while the row's values change."""

    @property
    def key(self) -> str: ...


R = TypeVar("R", bound=Row)


@dataclass(frozen=True, slots=True)
class Column(Generic[R]):
    """One column, declared as data.

    `text` gets the row and the moment of painting (UTC), so that ages and times left count without a new row.
    """

    id: str
    label: str
    text: Callable[[R, datetime], SafeText]
    sort: Callable[[R], Any]
    """Sort key; None sorts last."""
    width: int | None = None
    """Cells; None: takes what is left over."""
    align: str = "left"
    style: Callable[[R, datetime], str] | None = None
    """Name of a theme variable (`state-ok`, `state-stuck`, `muted`...), or "" for none; for the same moment as `text`."""
    letter: str = ""
    """The letter that sorts by this column after `s`."""
    priority: int = 1
    """1 is always shown; 2 goes below 100 columns of terminal, 3 below 140."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What a person changed in the columns of one view: by id, which are hidden or always shown, and widths in cells."""

    hidden: frozenset[str] = frozenset()
    shown: frozenset[str] = frozenset()
    """Shown although the terminal is too narrow for their priority."""
    widths: tuple[tuple[str, int], ...] = ()

    def width(self, column: Column[Any]) -> int | None:
        """The width of a column: the chosen one, else its own; None takes what is left over."""
        return dict(self.widths).get(column.id, column.width)


@dataclass(frozen=True, slots=True)
class Fact:
    """One labelled line of a detail view; a section title when `value` is None."""

    label: str
    value: SafeText | None = None
    style: str = ""


@dataclass(frozen=True)
class View(Generic[R]):
    """All that a pane and its headless twin need to know of one kind of row."""

    id: str
    """`rses`, `rules`, `requests`, `credentials`: the name to jump to and the sub-command."""
    title: str
    columns: Sequence[Column[R]]
    order: tuple[tuple[str, bool], ...]
    """Default sort: (column id, descending), most significant first."""
    detail: Callable[[R, datetime], Sequence[Fact]]
    record: Callable[[R], dict[str, Any]]
    """The JSON object of a row: Rucio's own field names, bytes as integers, times as ISO 8601 UTC."""
    aliases: tuple[str, ...] = field(default=())

    def column(self, name: str) -> Column[R]:
        """The column called `name` by id or by label, in any case; raises KeyError."""
        for column in self.columns:
            if name.lower() in (column.id.lower(), column.label.lower()):
                return column
        raise KeyError(name)
