"""The rows behind a live table: shared row objects, a filter, a sort order and marks. Knows nothing of a screen.

What is shown lies in a sorted list of ranks (`domain.sort`), so that a changed row costs O(log n). Filtering or sorting
all rows anew is a `Rearrangement`: done at once for few rows, else in a thread that leaves the interpreter to others
every few milliseconds, while the table goes on with the view it has.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
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
        self.touched: dict[str, R | None] = {}
        """Rows that were changed while this was under way, as they were when it began; None where there was none."""
        self.wanted = True
        self.outcome: SortedList | None = None
        self._rows = rows
        self._now = now
        self._sorted_already = sorted_already
        self._slice_ends = 0.0

    def run(self, *, rest: bool) -> None:
        """Do it, in whatever thread this is called; with `rest` the interpreter is left to others every 2 ms."""
        self._slice_ends = time.perf_counter() + SLICE_S if rest else float("inf")
        matches, ranking, now = self.filter.matches, self.ranking, self._now
        everything = not self.filter
        ranks: list[Rank] = []
        for count, row in enumerate(self._rows):
            if count % 32 == 0 and not self._go_on():
                return
            if everything or matches(row, now):
                ranks.append(ranking(row))
        ordered = ranks if self._sorted_already else self._sorted(ranks, rest)
        if ordered is not None:
            self.outcome = SortedList(ordered)

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
    """Rows by key, and the sorted list of those that pass the filter.

    A rank follows from its row alone, so it is kept in the sorted list only, and worked out again where it is looked for.
    """

    def __init__(self, view: View[R]) -> None:
        self.view = view
        self.rows: dict[str, R] = {}
        self.unconfirmed: frozenset[str] = frozenset()
        self.marks: set[str] = set()
        self.order: Order = view.order
        self.filter: Filter = NO_FILTER
        self._ranking: Ranking[R] = Ranking(self.order, view)
        self._shown: SortedList = SortedList()
        self._under_way: Rearrangement[R] | None = None

    def __len__(self) -> int:
        return len(self._shown)

    def key_at(self, index: int) -> str | None:
        """Key of the row shown at `index`, or None."""
        return str(self._shown[index][-1]) if 0 <= index < len(self._shown) else None

    def index(self, key: str | None) -> int | None:
        """Where `key` is shown, or None."""
        row = self.rows.get(key) if key is not None else None
        if row is None:
            return None
        rank = self._ranking(row)
        place: int = self._shown.bisect_left(rank)
        return place if place < len(self._shown) and self._shown[place] == rank else None

    def keys(self, start: int, stop: int) -> list[str]:
        """Keys shown from `start` to before `stop`."""
        return [rank[-1] for rank in self._shown.islice(max(0, start), max(0, stop))]

    def marked(self) -> list[str]:
        """Marked keys in the order of the table; those the filter hides come last."""
        ranks = (self._ranking(self.rows[key]) for key in self.marks if key in self.rows)
        shown = [rank[-1] for rank in sorted(rank for rank in ranks if rank in self._shown)]
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
        self.filter, self.order, self._ranking, self._shown = done.filter, done.order, done.ranking, done.outcome
        self._place(done.touched, now)
        return True

    # --- changes ---------------------------------------------------------------------------------------------

    def apply(self, changes: Changes[R], now: datetime) -> Applied[R]:
        """Take in a batch: rows replaced by key, removed ones dropped with their marks."""
        before: dict[str, R | None] = {}
        for key in changes.removed:
            before[key] = self.rows.pop(key, None)
            self.marks.discard(key)
        for key, row in changes.upserted.items():
            before.setdefault(key, self.rows.get(key))
            self.rows[key] = row
        if self._under_way is not None:
            for key, old in before.items():
                self._under_way.touched.setdefault(key, old)
        moved = self._place(before, now)
        self.unconfirmed = changes.unconfirmed
        return Applied({key: old for key, old in before.items() if old is not None and key in self.rows}, moved)

    def _place(self, before: Mapping[str, R | None], now: datetime) -> bool:
        """Put rows where they belong, or take them away, given what they were; says whether any line moved, came or went."""
        ranking, shown, wanted = self._ranking, self._shown, self.filter
        come: list[Rank] = []
        moved = False
        for key, old_row in before.items():
            row = self.rows.get(key)
            new = ranking(row) if row is not None and (not wanted or wanted.matches(row, now)) else None
            old = ranking(old_row) if old_row is not None else None
            if old is not None and (old not in shown if wanted else False):
                old = None
            if new == old:
                continue
            moved = True
            if old is not None:
                shown.remove(old)
            if new is not None:
                come.append(new)
        shown.update(come)
        return moved
