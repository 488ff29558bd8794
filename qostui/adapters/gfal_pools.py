"""Pools of gfal2 workers: a small one for each version of a credential, retired when a newer version comes, ended at exit."""

from __future__ import annotations

import atexit
import contextlib
from collections.abc import Iterator
from threading import Condition, Lock

from ..services.feeds import Cancel, Cancelled
from .gfal import WORKERS, Bearing, Worker

_LOOK_S = 0.2
"""How often whoever waits for a worker looks whether the work is still wanted."""


class Pool:
    """The workers of one bearing; each is lent to one caller at a time."""

    def __init__(self, bearing: Bearing, size: int = WORKERS) -> None:
        self.bearing = bearing
        self._free: list[Worker] = []
        self._lent: set[Worker] = set()
        self._size = size
        self._retired = False
        self._changed = Condition()

    @contextlib.contextmanager
    def lend(self, cancel: Cancel | None = None) -> Iterator[Worker]:
        """A worker for the block, started when it is first used; waits while all are busy. Raises Cancelled."""
        worker = self._take(cancel)
        try:
            yield worker
        finally:
            self._give_back(worker)

    def _take(self, cancel: Cancel | None) -> Worker:
        with self._changed:
            while not self._free and len(self._lent) >= self._size:
                if cancel is not None and not cancel.wanted:
                    raise Cancelled
                self._changed.wait(_LOOK_S)
            if cancel is not None and not cancel.wanted:
                raise Cancelled
            # The one used last: its connections are the freshest.
            worker = self._free.pop() if self._free else Worker(self.bearing)
            self._lent.add(worker)
            return worker

    def _give_back(self, worker: Worker) -> None:
        with self._changed:
            self._lent.discard(worker)
            keep = not self._retired
            if keep:
                self._free.append(worker)
            self._changed.notify()
        if not keep:
            worker.close()

    def rest(self) -> None:
        """End the idle workers: each holds 35 MB, and another starts in a tenth of a second."""
        with self._changed:
            idle, self._free = self._free, []
        for worker in idle:
            worker.close()

    def retire(self) -> None:
        """End the idle workers, and each of the others when it is given back."""
        with self._changed:
            self._retired = True
        self.rest()

    def kill(self) -> None:
        """End all workers now, whatever they do."""
        self.retire()
        with self._changed:
            busy = list(self._lent)
        for worker in busy:
            worker.end()


class Pools:
    """All pools of the process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._pools: dict[str, Pool] = {}

    def pool(self, bearing: Bearing) -> Pool:
        """The pool of this version; an older one of the same owner and kind retires."""
        with self._lock:
            found = self._pools.get(bearing.version)
            if found is not None:
                return found
            older = [each for each in self._pools.values() if (each.bearing.owner, each.bearing.kind) == (bearing.owner, bearing.kind)]
            for each in older:
                del self._pools[each.bearing.version]
            made = self._pools[bearing.version] = Pool(bearing)
        for each in older:
            each.retire()
        return made

    def rest(self, owner: str) -> None:
        """End this owner's idle workers."""
        with self._lock:
            theirs = [each for each in self._pools.values() if each.bearing.owner == owner]
        for each in theirs:
            each.rest()

    def retire(self, owner: str) -> None:
        """End what belongs to this owner, as when the console leaves a profile."""
        with self._lock:
            theirs = [each for each in self._pools.values() if each.bearing.owner == owner]
            for each in theirs:
                del self._pools[each.bearing.version]
        for each in theirs:
            each.kill()

    def close(self) -> None:
        """End all."""
        with self._lock:
            all_of_them, self._pools = list(self._pools.values()), {}
        for each in all_of_them:
            each.kill()


POOLS = Pools()
atexit.register(POOLS.close)
