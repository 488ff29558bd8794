"""Feeds: the sources that panes show. A feed polls in a lane, fills a store, keeps its age and its last error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from ..domain.errors import Problem
from ..domain.table import Row

R = TypeVar("R", bound=Row)
R_co = TypeVar("R_co", bound=Row, covariant=True)


class Cancelled(Exception):
    """Raised inside a lane when its work is no longer wanted; never shown."""


class Cancel(Protocol):
    """Given to a source: says that it is to stop, and closes what it blocks on."""

    @property
    def wanted(self) -> bool: ...

    def closes(self, close: Callable[[], None]) -> None:
        """Call `close` (thread-safe) as soon as the work is cancelled."""


class Source(Protocol[R_co]):
    """Where a feed gets rows: blocking calls, run in a lane, batches of at most 500 immutable rows.

    Nothing is asked of a server before the first batch is. An iterator that is closed or dropped ends its call at once.
    """

    def full(self, cancel: Cancel) -> Iterator[Sequence[R_co]]:
        """A complete listing; ends normally only if it was complete. Raises Problem."""

    def since(self, moment: datetime, cancel: Cancel) -> Iterator[Sequence[R_co]] | None:
        """Rows changed since `moment` (server's clock), or None where the source cannot tell. Raises Problem."""


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """What the feed line of a pane says."""

    state: str
    """`waiting` (nothing yet), `loading` (first listing under way), `live`, `failed`, `paused`."""
    count: int = 0
    unconfirmed: int = 0
    """Rows that a broken listing could not confirm."""
    good_at: datetime | None = None
    """When the last listing ended cleanly (UTC, our clock); None: only rows from the last run, or none."""
    from_last_run: bool = False
    problem: Problem | None = None
    next_try: datetime | None = None
    last_run_at: datetime | None = None
    """When the rows of the last run were good; told while `from_last_run`."""
    note: str = ""
    """What the listing leaves out on purpose (`only the first 2000 OK rules`); "" when it is complete."""


class FeedPort(Protocol, Generic[R]):
    """What a pane sees of a feed. `drain` is called on the UI thread, all else is safe from any thread."""

    @property
    def status(self) -> FeedStatus: ...

    def listen(self, told: Callable[[], None]) -> None:
        """Call `told` when there is something to drain again, in the thread that brought it; it must return at once."""

    def drain(self) -> Changes[R]:
        """All changes since the last drain, coalesced by key."""

    def refresh(self) -> None:
        """Poll now."""


@dataclass(frozen=True)
class Changes(Generic[R]):
    """What changed in a store since it was last drained."""

    upserted: dict[str, R]
    removed: frozenset[str]
    unconfirmed: frozenset[str]
    """Keys that are shown but not confirmed by the last listing; the same object as long as they are the same."""
