"""A feed that polls: when it asks, what it asks for, and how it bears failures (design section 4)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from threading import Condition, Event, Lock, Thread
from typing import Generic, TypeVar, cast

from ..domain.errors import OverloadProblem, Problem, ServerProblem
from ..domain.table import Row
from .feeds import Cancel, Cancelled, Changes, FeedStatus, Source
from .lanes import Lanes, too_many_hang
from .pace import Pace, Truce, backoff, interval, sweep_period
from .ports import Clock, Snapshots
from .store import Store

R = TypeVar("R", bound=Row)

OVERLAP = timedelta(seconds=5)
"""Increments reach this far back, since a server commits rows some time after it stamped them."""
YIELD_S = 0.002
"""Pause between batches, so that the screen keeps its share of the interpreter."""
CHOICE_S = 0.2
"""A feed that is started waits at most so long to be told whether it is watched."""
OTHERS_AFTER_S = 10.0
"""The feeds that nobody watches leave the server and the interpreter to the first listing of the one that is watched: at most
so long."""
FIRST_LOOK_S = 0.1
TAKEN_S = 0.5
"""Rows of the last run are given at most so long to reach the screen before the source is asked: libraries that are loaded
for that would hold the interpreter while the first picture is painted."""
PAINTED_S = 0.03


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
        truce: Truce | None = None,
        first: Event | None = None,
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
        self._truce = truce or Truce(self._clock)
        self._first = first or Event()
        """Set when a watched feed of the same profile has asked once; shared by those that wait for it."""
        self._jitter = jitter
        self._store: Store[R] = Store()
        self._recalling = Lock()
        self._recalled: bool | None = None
        self._condition = Condition()
        self._stopped = False
        self._asked = False
        self._watched = True
        self._told_watched = False
        self._taken = False
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
        self._took = 0.0
        self._has_increments: bool | None = None
        self._backoff = 0.0
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
        note = self._note()
        if self._problem is None and self._truce.left:
            note = "; ".join(filter(None, (f"waits {self._truce.left:.0f} s: the server asks for fewer calls", note)))
        return FeedStatus(
            state,
            self._store.count,
            self._store.unconfirmed,
            self._good_at,
            self._good_at is None and self._last_run_at is not None,
            self._problem,
            self._next_try,
            self._last_run_at if self._good_at is None else None,
            note,
        )

    def listen(self, told: Callable[[], None]) -> None:
        """Call `told` when there is something to drain again, in the thread that brought it."""
        self._store.listen(told)

    def drain(self) -> Changes[R]:
        """All changes since the last drain."""
        changes = self._store.drain()
        if not self._taken and changes.upserted:
            with self._condition:
                self._taken = True
                self._condition.notify_all()
        return changes

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
            changed = watched != self._watched or not self._told_watched
            self._watched, self._told_watched = watched, True
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
        self._until(lambda: self._told_watched, CHOICE_S)
        deadline = self._clock.monotonic() + OTHERS_AFTER_S
        while not (self._watched or self._asked or self._stopped or self._first.is_set()) and self._clock.monotonic() < deadline:
            self._until(lambda: self._watched, FIRST_LOOK_S)
        if self.recall() and self._watched:
            self._until(lambda: self._taken, TAKEN_S)
            self._until(lambda: False, PAINTED_S)
        while not self._stopped and not self._lanes.closed:
            began = self._clock.monotonic()
            self.poll()
            if self._watched:
                self._first.set()
            self._wait(began)

    def _until(self, condition: Callable[[], bool], at_most: float) -> None:
        """Wait until `condition` holds, the feed is stopped or is to ask at once."""
        with self._condition:
            self._condition.wait_for(lambda: self._stopped or self._asked or condition(), at_most)

    def _wait(self, began: float) -> None:
        with self._condition:
            while not self._stopped and not self._asked:
                left = self.left(began)
                if left <= 0:
                    break
                self._condition.wait(left)
            self._asked = False

    def recall(self) -> bool:
        """Show the rows of the last run, once; False when none are kept."""
        with self._recalling:
            if self._recalled is None:
                kept = self._snapshots.load(self.name) if self._snapshots is not None else None
                self._recalled = kept is not None and self._good_at is None and bool(kept[0])
                if kept is not None and self._recalled:
                    rows, self._last_run_at = kept
                    self._store.remember(cast("Sequence[R]", rows))
            return self._recalled

    def delay(self) -> float:
        """Seconds from the start of one poll to the next."""
        if self._failures:
            return self._backoff
        return interval(self._took, self._watched, self._pace)

    def left(self, began: float) -> float:
        """Seconds until the next poll, when the last one began then; 0 or less when it is time."""
        return max(began + self.delay() - self._clock.monotonic(), self._truce.left)

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
        now, began = self._clock.now(), self._clock.monotonic()
        increment, due = None, self._sweep_is_due(began)
        if self._known_to is not None and not (due and self._has_increments):
            increment = self._source.since(self._known_to - OVERLAP, cancel)
            self._has_increments = increment is not None
        if increment is not None and not due:
            for batch in increment:
                self._take(batch, cancel)
            self._took = self._clock.monotonic() - began
        else:
            self._sweep(began, cancel)
        # Only an answer tells how far the server's clock is from ours.
        self._succeed(now + (self._server_now() - self._clock.now()))

    def _sweep(self, began: float, cancel: Cancel) -> None:
        counts_from = None if self._known_to is None else began  # logging in the first time is not what a listing costs
        self._full_at = began
        self._store.begin()
        try:
            for batch in self._source.full(cancel):
                counts_from = counts_from or self._clock.monotonic()
                self._take(batch, cancel)
            if not cancel.wanted:
                raise Cancelled
            self._store.end()
        finally:
            # One that breaks off counts too: increments go on while the next one is not due.
            ended = self._clock.monotonic()
            self._full_took = min(ended - (counts_from or ended), self._pace.time_limit)
            if self._has_increments is False:
                self._took = self._full_took

    def _take(self, batch: Sequence[R], cancel: Cancel) -> None:
        if not cancel.wanted:
            raise Cancelled
        self._store.put(batch)
        time.sleep(YIELD_S)

    def _sweep_is_due(self, now: float) -> bool:
        return self._full_at is None or now - self._full_at >= sweep_period(self._full_took, self._pace)

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
        self._backoff = backoff(self._failures, problem, self._pace, self._jitter())
        if isinstance(problem, OverloadProblem) and problem.everywhere:
            self._truce.keep(self._backoff)
        self._problem = problem
        self._next_try = self._clock.now() + timedelta(seconds=self._backoff)
