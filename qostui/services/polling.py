"""A feed that polls: when it asks, what it asks for, and how it bears failures (design section 4)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Condition, Thread
from typing import Generic, TypeVar, cast

from ..domain.errors import Problem, ServerProblem
from ..domain.table import Row
from .feeds import Cancel, Cancelled, Changes, FeedStatus, Source
from .lanes import Lanes, too_many_hang
from .ports import Clock, Snapshots
from .store import Store

R = TypeVar("R", bound=Row)

OVERLAP = timedelta(seconds=5)
"""Increments reach this far back, since a server commits rows some time after it stamped them."""
YIELD_S = 0.002
"""Pause between batches, so that the screen keeps its share of the interpreter."""


@dataclass(frozen=True)
class Pace:
    """How often a feed asks, in seconds."""

    interval: float = 5.0
    slow_factor: float = 6.0
    """Not watched: this many times slower."""
    sweep_min: float = 12.0
    sweep_max: float = 300.0
    sweep_share: float = 0.08
    """Full listings may take this share of the time between two of them: a small instance is swept often."""
    time_limit: float = 120.0
    backoff_first: float = 2.0
    backoff_max: float = 60.0
    backoff_hopeless: float = 20.0
    """Least wait after a problem that waiting does not mend (refused, denied)."""
    save_every: float = 60.0


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """The moment, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some start."""
        return time.monotonic()


class Feed(Generic[R]):
    """One source, polled in a lane, with its store, its age and its last error."""

    def __init__(
        self,
        name: str,
        source: Source[R],
        lanes: Lanes,
        *,
        pace: Pace | None = None,
        clock: Clock | None = None,
        server_now: Callable[[], datetime] | None = None,
        note: Callable[[], str] = lambda: "",
        snapshots: Snapshots | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self._source = source
        self._lanes = lanes
        self._pace = pace or Pace()
        self._clock: Clock = clock or SystemClock()
        self._server_now = server_now or self._clock.now
        self._note = note
        self._snapshots = snapshots
        self._jitter = jitter
        self._store: Store[R] = Store()
        self._condition = Condition()
        self._stopped = False
        self._asked = False
        self._watched = True
        self._failures = 0
        self._loading = False
        self._paused = False
        self._problem: Problem | None = None
        self._good_at: datetime | None = None
        self._last_run_at: datetime | None = None
        self._next_try: datetime | None = None
        self._known_to: datetime | None = None
        self._full_at: float | None = None
        self._full_took = 0.0
        self._saved_at: float | None = None

    # What a pane sees

    @property
    def status(self) -> FeedStatus:
        """What the feed line says now."""
        if self._paused:
            state = "paused"
        elif self._problem is not None:
            state = "failed"
        elif self._good_at is not None:
            state = "live"
        else:
            state = "loading" if self._loading else "waiting"
        return FeedStatus(
            state,
            self._store.count,
            self._store.unconfirmed,
            self._good_at,
            self._good_at is None and self._last_run_at is not None,
            self._problem,
            self._next_try,
            self._last_run_at if self._good_at is None else None,
            self._note(),
        )

    def drain(self) -> Changes[R]:
        """All changes since the last drain."""
        return self._store.drain()

    def rows(self) -> list[R]:
        """All rows as they are now."""
        return self._store.rows()

    def refresh(self) -> None:
        """Ask for a full listing now."""
        with self._condition:
            self._asked = True
            self._full_at = None
            self._condition.notify_all()

    def watch(self, watched: bool) -> None:
        """Full rate when watched, slow otherwise."""
        with self._condition:
            changed, self._watched = watched != self._watched, watched
            if changed:
                self._condition.notify_all()

    # Its life

    def start(self) -> None:
        """Begin to poll, in threads of its own."""
        Thread(target=self._live, name=f"feed-{self.name}", daemon=True).start()

    def stop(self) -> None:
        """Ask no more; returns at once."""
        with self._condition:
            self._stopped = True
            self._condition.notify_all()

    def _live(self) -> None:
        self.recall()
        while not self._stopped and not self._lanes.closed:
            began = self._clock.monotonic()
            self.poll()
            self._wait(began)

    def _wait(self, began: float) -> None:
        with self._condition:
            while not self._stopped and not self._asked:
                left = began + self.delay() - self._clock.monotonic()
                if left <= 0:
                    break
                self._condition.wait(left)
            self._asked = False

    def recall(self) -> None:
        """Show the rows of the last run, if some are kept."""
        kept = self._snapshots.load(self.name) if self._snapshots is not None else None
        if kept is not None and self._good_at is None:
            rows, self._last_run_at = kept
            self._store.remember(cast("Sequence[R]", rows))

    def delay(self) -> float:
        """Seconds from the start of one poll to the next."""
        if self._failures:
            return self._backoff
        return self._pace.interval * (1.0 if self._watched else self._pace.slow_factor)

    def poll(self) -> None:
        """Ask once, in a lane; never raises."""
        if self._lanes.exhausted:
            self._paused = True
            self._fail(too_many_hang(self._lanes.abandoned))
            return
        self._paused = False
        self._loading = True
        try:
            self._lanes.run(self.name, self.ask, self._pace.time_limit)
        except Cancelled:
            self._store.broke()
        except Problem as problem:
            self._store.broke()
            self._fail(problem)
        except Exception as error:
            # A fault of our own in a source must not silence the pane; the type says where to look, the text may hold secrets.
            self._store.broke()
            self._fail(
                ServerProblem(
                    f"the console could not read the answer ({type(error).__name__})", step="report this with the server's version"
                )
            )
        finally:
            self._loading = False

    def ask(self, cancel: Cancel) -> None:
        """One listing into the store: an increment where that is enough, else a full one. Raises Problem, Cancelled."""
        moment, began = self._server_now(), self._clock.monotonic()
        increment = None
        if not self._sweep_is_due(began) and self._known_to is not None:
            increment = self._source.since(self._known_to - OVERLAP, cancel)
        if increment is not None:
            for batch in increment:
                self._take(batch, cancel)
        else:
            self._store.begin()
            streaming = None  # from the first batch on: logging in is not what a listing costs the server
            for batch in self._source.full(cancel):
                streaming = streaming or self._clock.monotonic()
                self._take(batch, cancel)
            if not cancel.wanted:
                raise Cancelled
            self._store.end()
            ended = self._clock.monotonic()
            self._full_at, self._full_took = began, ended - (streaming or ended)
        self._succeed(moment)

    def _take(self, batch: Sequence[R], cancel: Cancel) -> None:
        if not cancel.wanted:
            raise Cancelled
        self._store.put(batch)
        time.sleep(YIELD_S)

    def _sweep_is_due(self, now: float) -> bool:
        if self._full_at is None or self._failures:
            return True
        period = min(max(self._full_took / self._pace.sweep_share, self._pace.sweep_min), self._pace.sweep_max)
        return now - self._full_at >= period

    def _succeed(self, moment: datetime) -> None:
        self._known_to = moment
        self._failures, self._problem, self._next_try = 0, None, None
        self._good_at = self._clock.now()
        now = self._clock.monotonic()
        if self._snapshots is not None and (self._saved_at is None or now - self._saved_at >= self._pace.save_every):
            self._saved_at = now
            self._snapshots.save(self.name, self._store.rows(), self._good_at)

    def _fail(self, problem: Problem) -> None:
        self._failures += 1
        wait = min(self._pace.backoff_first * 2 ** min(self._failures - 1, 10), self._pace.backoff_max)
        if not problem.retry:
            wait = max(wait, self._pace.backoff_hopeless)
        self._backoff = wait * (0.75 + 0.5 * self._jitter())
        self._problem = problem
        self._next_try = self._clock.now() + timedelta(seconds=self._backoff)

    _backoff = 0.0
