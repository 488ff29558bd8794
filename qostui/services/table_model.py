"""The rows behind a live table: shared row objects, a filter, a sort order and marks. Knows nothing of a screen.

What is shown lies in a sorted list of ranks (`domain.sort`), so that a changed row costs O(log n). Filtering or sorting
all rows anew is a `Rearrangement`: done at once for few rows, else in a thread that leaves the interpreter to others
every few milliseconds, while the table goes on with the view it has.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from sortedcontainers import SortedList

from ..domain.query import Filter
from ..domain.sort import Order, Rank, Ranking
from ..domain.table import Row, View
from .feeds import Changes

R = TypeVar("R", bound=Row)

AT_ONCE = 20_000
"""Up to so many rows are filtered and sorted where they are; more in a thread (about 50 ms on one core)."""
SLICE_S = 0.002
"""How long a rearrangement in a thread keeps the interpreter at a time."""
REST_S = 0.0005
RUN = 1024
"""Rows that are sorted in one go: a sort in C holds the interpreter, for about 1 ms with so many."""
NO_FILTER = Filter("")


@dataclass(frozen=True)
class Applied(Generic[R]):
    """What a batch did: rows that were replaced (key -> old row), and whether any line moved, came or went."""

    replaced: dict[str, R] = field(default_factory=dict)
    moved: bool = False


class Rearrangement(Generic[R]):
    """All rows filtered and sorted anew: what is wanted, the rows as they were when it began, and the outcome."""

    def __init__(
        self, wanted: Filter, order: Order, ranking: Ranking[R], rows: Sequence[R], now: datetime, *, sorted_already: bool
    ) -> None:
        self.filter = wanted
        self.order = order
        self.ranking = ranking
        self.size = len(rows)
        self.touched: set[str] = set()
        """Keys of rows that changed while this was under way."""
        self.wanted = True
        self.outcome: tuple[dict[str, Rank], SortedList] | None = None
        self._rows = rows
        self._now = now
        self._sorted_already = sorted_already
        self._slice_ends = 0.0

    def run(self, *, rest: bool) -> None:
        """Do it, in whatever thread this is called; with `rest` the interpreter is left to others every 2 ms."""
        self._slice_ends = time.perf_counter() + SLICE_S if rest else float("inf")
        matches, ranking, now = self.filter.matches, self.ranking, self._now
        everything = not self.filter
        ranks: dict[str, Rank] = {}
        for count, row in enumerate(self._rows):
            if count % 32 == 0 and not self._go_on():
                return
            if everything or matches(row, now):
                rank = ranking(row)
                ranks[rank[-1]] = rank
        ordered = list(ranks.values()) if self._sorted_already else self._sorted(list(ranks.values()), rest)
        if ordered is None:
            return
        listing = SortedList()
        listing.update(ordered)
        self.outcome = (ranks, listing)

    def _go_on(self) -> bool:
        if time.perf_counter() >= self._slice_ends:
            time.sleep(REST_S)
            self._slice_ends = time.perf_counter() + SLICE_S
        return self.wanted

    def _sorted(self, ranks: list[Rank], rest: bool) -> list[Rank] | None:
        """The ranks in order; a sample sort, so that no single call holds the interpreter for long."""
        if not rest or len(ranks) <= RUN:
            return sorted(ranks)
        pieces = max(2, len(ranks) // RUN)
        sample = sorted(ranks[:: max(1, len(ranks) // (pieces * 8))])
        pivots = sample[8::8]
        buckets: list[list[Rank]] = [[] for _ in range(len(pivots) + 1)]
        for count, rank in enumerate(ranks):
            if count % 64 == 0 and not self._go_on():
                return None
            buckets[bisect_right(pivots, rank)].append(rank)
        ordered: list[Rank] = []
        for bucket in buckets:
            if not self._go_on():
                return None
            bucket.sort()
            ordered += bucket
        return ordered


class TableModel(Generic[R]):
    """Rows by key, and the sorted list of those that pass the filter."""

    def __init__(self, view: View[R]) -> None:
        self.view = view
        self.rows: dict[str, R] = {}
        self.unconfirmed: frozenset[str] = frozenset()
        self.marks: set[str] = set()
        self.order: Order = view.order
        self.filter: Filter = NO_FILTER
        self._ranking: Ranking[R] = Ranking(self.order, view)
        self._ranks: dict[str, Rank] = {}
        self._shown: SortedList = SortedList()
        self._under_way: Rearrangement[R] | None = None

    def __len__(self) -> int:
        return len(self._shown)

    def key_at(self, index: int) -> str | None:
        """Key of the row shown at `index`, or None."""
        return str(self._shown[index][-1]) if 0 <= index < len(self._shown) else None

    def index(self, key: str | None) -> int | None:
        """Where `key` is shown, or None."""
        rank = self._ranks.get(key) if key is not None else None
        return None if rank is None else int(self._shown.index(rank))

    def keys(self, start: int, stop: int) -> list[str]:
        """Keys shown from `start` to before `stop`."""
        return [rank[-1] for rank in self._shown.islice(max(0, start), max(0, stop))]

    def marked(self) -> list[str]:
        """Marked keys in the order of the table; those the filter hides come last."""
        shown = [rank[-1] for rank in sorted(self._ranks[key] for key in self.marks if key in self._ranks)]
        return shown + sorted(self.marks.difference(shown))

    # --- all rows anew ---------------------------------------------------------------------------------------

    @property
    def rearranging(self) -> bool:
        """A filter or order was asked for that is not shown yet."""
        return self._under_way is not None

    def rearrange(self, now: datetime, *, wanted: Filter, order: Order) -> Rearrangement[R]:
        """Begin to filter and sort anew: `run` what is returned, then `take` it. One that was under way is dropped."""
        if self._under_way is not None:
            self._under_way.wanted = False
        narrower = order == self.order and wanted.text != self.filter.text and (not self.filter or wanted.narrows(self.filter))
        rows = [self.rows[rank[-1]] for rank in self._shown] if narrower else list(self.rows.values())
        ranking = self._ranking if order == self.order else Ranking(order, self.view)
        self._under_way = Rearrangement(wanted, order, ranking, rows, now, sorted_already=narrower)
        return self._under_way

    def take(self, done: Rearrangement[R], now: datetime) -> bool:
        """Show the outcome, with what changed meanwhile; False when it is no longer the one that is wanted."""
        if done is not self._under_way or done.outcome is None:
            return False
        self._under_way = None
        self.filter, self.order, self._ranking = done.filter, done.order, done.ranking
        self._ranks, self._shown = done.outcome
        self._place(done.touched, now)
        return True

    # --- changes ---------------------------------------------------------------------------------------------

    def apply(self, changes: Changes[R], now: datetime) -> Applied[R]:
        """Take in a batch: rows replaced by key, removed ones dropped with their marks."""
        replaced = self._replace(changes.upserted)
        for key in changes.removed:
            self.rows.pop(key, None)
            self.marks.discard(key)
        if self._under_way is not None:
            self._under_way.touched.update(changes.upserted, changes.removed)
        moved = self._place((*changes.removed, *changes.upserted), now)
        self.unconfirmed = changes.unconfirmed
        return Applied(replaced, moved)

    def _replace(self, upserted: Mapping[str, R]) -> dict[str, R]:
        replaced = {}
        for key, row in upserted.items():
            old = self.rows.get(key)
            self.rows[key] = row
            if old is not None:
                replaced[key] = old
        return replaced

    def _place(self, keys: Iterable[str], now: datetime) -> bool:
        """Put the rows of these keys where they belong, or take them away; says whether any line moved, came or went."""
        come: dict[str, Rank] = {}
        moved = False
        for key in keys:
            row = self.rows.get(key)
            old = self._ranks.get(key)
            new = self._ranking(row) if row is not None and (not self.filter or self.filter.matches(row, now)) else None
            if new == old:
                continue
            moved = True
            if old is not None:
                self._shown.remove(old)
                del self._ranks[key]
            if new is not None:
                come[key] = new
        self._ranks.update(come)
        self._shown.update(come.values())
        return moved
