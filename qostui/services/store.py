"""The store behind a feed: rows by key, coalesced changes, and a truthful way of forgetting (design section 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Lock
from typing import Generic, TypeVar

from ..domain.table import Row
from .feeds import Changes

R = TypeVar("R", bound=Row)


class Store(Generic[R]):
    """Rows by key, safe from any thread.

    A full listing is a generation: `begin`, `put`..., then `end` (it was complete: unseen rows go) or `broke` (unseen rows
    stay, unconfirmed). Outside a generation `put` takes increments, which only add and change. Equal rows cause no change.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._rows: dict[str, R] = {}
        self._seen: set[str] | None = None
        self._unconfirmed: set[str] = set()
        self._unconfirmed_copy: frozenset[str] | None = frozenset()
        """The set as it was last handed out; None when it has changed since."""
        self._upserted: dict[str, R] = {}
        self._removed: set[str] = set()
        self._listener: Callable[[], None] | None = None
        self._told = False

    def listen(self, told: Callable[[], None]) -> None:
        """Call `told` once for each time that there is something to drain again, in the thread that brought it.

        At once if there is something already.
        """
        with self._lock:
            self._listener, self._told = told, False
        self._tell()

    def _tell(self) -> None:
        with self._lock:
            if self._told or self._listener is None or not self._has_news:
                return
            self._told, told = True, self._listener
        told()

    @property
    def _has_news(self) -> bool:
        return bool(self._upserted or self._removed or self._unconfirmed_copy is None)

    def begin(self) -> None:
        """A full listing starts."""
        with self._lock:
            self._seen = set()

    def put(self, rows: Iterable[R]) -> None:
        """Rows that the server sent, new or changed or the same."""
        with self._lock:
            for row in rows:
                self._put(row)
        self._tell()

    def _put(self, row: R) -> None:
        key = row.key
        if self._seen is not None:
            self._seen.add(key)
        self._confirm(key)
        if self._rows.get(key) != row:
            self._rows[key] = row
            self._upserted[key] = row
            self._removed.discard(key)

    def end(self) -> None:
        """The full listing ended cleanly: what was not in it is gone."""
        with self._lock:
            if self._seen is None:
                return
            for key in self._rows.keys() - self._seen:
                self._drop(key)
            self._unconfirmed.clear()
            self._unconfirmed_copy = None
            self._seen = None
        self._tell()

    def broke(self) -> None:
        """The full listing broke off: what it did not reach stays, but is not confirmed."""
        with self._lock:
            if self._seen is None:
                return
            self._unconfirmed |= self._rows.keys() - self._seen
            self._unconfirmed_copy = None
            self._seen = None
        self._tell()

    def remember(self, rows: Iterable[R]) -> None:
        """Rows of the last run: shown until the first listing says better, and not confirmed."""
        with self._lock:
            for row in rows:
                if row.key not in self._rows:
                    self._rows[row.key] = row
                    self._upserted[row.key] = row
                    self._unconfirmed.add(row.key)
                    self._unconfirmed_copy = None
        self._tell()

    def remove(self, keys: Iterable[str]) -> None:
        """Rows known to be gone."""
        with self._lock:
            for key in keys:
                if key in self._rows:
                    self._drop(key)
        self._tell()

    def _drop(self, key: str) -> None:
        del self._rows[key]
        self._upserted.pop(key, None)
        self._confirm(key)
        self._removed.add(key)

    def _confirm(self, key: str) -> None:
        if key in self._unconfirmed:
            self._unconfirmed.remove(key)
            self._unconfirmed_copy = None

    def drain(self) -> Changes[R]:
        """All changes since the last drain; `unconfirmed` is the whole set as it is now, the same object while it is the same."""
        with self._lock:
            if self._unconfirmed_copy is None:
                self._unconfirmed_copy = frozenset(self._unconfirmed)
            changes = Changes(self._upserted, frozenset(self._removed), self._unconfirmed_copy)
            self._upserted = {}
            self._removed = set()
            self._told = False
            return changes

    def rows(self) -> list[R]:
        """All rows as they are now."""
        with self._lock:
            return list(self._rows.values())

    @property
    def count(self) -> int:
        return len(self._rows)

    @property
    def unconfirmed(self) -> int:
        return len(self._unconfirmed)
