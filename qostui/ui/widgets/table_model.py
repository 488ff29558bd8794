"""The rows behind a live table: shared row objects, a filter, a sort order and marks. Knows nothing of a screen."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from ...domain.table import Row, View
from ...services.feeds import Changes

R = TypeVar("R", bound=Row)
Rank = tuple[Any, ...]
Order = tuple[tuple[str, bool], ...]
"""(column id, descending), most significant first."""
Matcher = Callable[[Any, datetime], bool]

FEW = 32
"""Up to so many moved rows are put in place one by one; more are sorted together."""


class Descending:
    """Turns the order of a value that cannot be negated."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: Descending) -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Descending) and bool(self.value == other.value)

    __hash__ = None  # type: ignore[assignment]  # mutable order wrapper, never a key


@dataclass(frozen=True)
class Applied(Generic[R]):
    """What a batch did: rows that were replaced (key -> old row), and whether any line moved, came or went."""

    replaced: dict[str, R] = field(default_factory=dict)
    moved: bool = False


class TableModel(Generic[R]):
    """Rows by key, and the sorted list of those that pass the filter."""

    def __init__(self, view: View[R]) -> None:
        self.view = view
        self.rows: dict[str, R] = {}
        self.unconfirmed: frozenset[str] = frozenset()
        self.marks: set[str] = set()
        self.order: Order = view.order
        self.matches: Matcher | None = None
        self._entries: list[tuple[Rank, str]] = []
        self._ranks: dict[str, Rank] = {}
        self._sorts = self._sort_columns()

    def __len__(self) -> int:
        return len(self._entries)

    def key_at(self, index: int) -> str | None:
        """Key of the row shown at `index`, or None."""
        return self._entries[index][1] if 0 <= index < len(self._entries) else None

    def index(self, key: str | None) -> int | None:
        """Where `key` is shown, or None."""
        rank = self._ranks.get(key) if key is not None else None
        return None if rank is None or key is None else bisect_left(self._entries, (rank, key))

    def keys(self, start: int, stop: int) -> list[str]:
        """Keys shown from `start` to before `stop`."""
        return [key for _, key in self._entries[max(0, start) : max(0, stop)]]

    def marked(self) -> list[str]:
        """Marked keys in the order of the table; those the filter hides come last."""
        shown = sorted((key for key in self.marks if key in self._ranks), key=lambda key: (self._ranks[key], key))
        return shown + sorted(self.marks - set(shown))

    def set_view(self, now: datetime, *, matches: Matcher | None, order: Order) -> None:
        """Filter and sort anew; O(n log n)."""
        self.matches = matches
        self.order = order
        self._sorts = self._sort_columns()
        ranks = {key: self._rank(row) for key, row in self.rows.items() if matches is None or matches(row, now)}
        self._ranks = ranks
        self._entries = sorted((rank, key) for key, rank in ranks.items())

    def apply(self, changes: Changes[R], now: datetime) -> Applied[R]:
        """Take in a batch: rows replaced by key, removed ones dropped with their marks."""
        replaced = self._take(changes.upserted)
        gone: dict[str, Rank] = {}
        come: dict[str, Rank] = {}
        for key in changes.removed:
            self.rows.pop(key, None)
            self.marks.discard(key)
            if (rank := self._ranks.pop(key, None)) is not None:
                gone[key] = rank
        for key, row in changes.upserted.items():
            old_rank = self._ranks.get(key)
            rank = self._rank(row) if self.matches is None or self.matches(row, now) else None
            if rank == old_rank:
                continue
            if old_rank is not None:
                gone[key] = old_rank
                del self._ranks[key]
            if rank is not None:
                come[key] = rank
                self._ranks[key] = rank
        self._place(gone, come)
        self.unconfirmed = changes.unconfirmed
        return Applied(replaced, bool(gone or come))

    def _take(self, upserted: Mapping[str, R]) -> dict[str, R]:
        replaced = {}
        for key, row in upserted.items():
            old = self.rows.get(key)
            self.rows[key] = row
            if old is not None:
                replaced[key] = old
        return replaced

    def _place(self, gone: Mapping[str, Rank], come: Mapping[str, Rank]) -> None:
        if len(gone) + len(come) <= FEW:
            for key, rank in gone.items():
                del self._entries[bisect_left(self._entries, (rank, key))]
            for key, rank in come.items():
                insort(self._entries, (rank, key))
            return
        if gone:
            self._entries = [entry for entry in self._entries if entry[1] not in gone]
        self._entries.extend((rank, key) for key, rank in come.items())
        self._entries.sort()

    def _sort_columns(self) -> list[tuple[Callable[[R], Any], bool]]:
        named = {column.id: column.sort for column in self.view.columns}
        return [(named[name], descending) for name, descending in _once(self.order) if name in named]

    def _rank(self, row: R) -> Rank:
        return tuple(_rank(sort(row), descending) for sort, descending in self._sorts)


def _once(order: Order) -> Iterable[tuple[str, bool]]:
    seen = set()
    for name, descending in order:
        if name not in seen:
            seen.add(name)
            yield name, descending


def _rank(value: Any, descending: bool) -> Rank:
    """A tuple that sorts like `value`; None last either way; values of unlike kinds side by side, not an error."""
    if value is None:
        return (1,)
    if isinstance(value, (int, float)):
        return (0, "", -value if descending else value)
    if isinstance(value, datetime):
        moment = value.timestamp()
        return (0, "time", -moment if descending else moment)
    if isinstance(value, tuple):
        return (0, "tuple", tuple(_rank(part, descending) for part in value))
    return (0, type(value).__name__, Descending(value) if descending else value)
