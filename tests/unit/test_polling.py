"""Feeds with a source and a clock made by hand: full listings, increments, failures, the rows of the last run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from qostui.domain.errors import ConnectionProblem, DeniedProblem, OverloadProblem
from qostui.services.feeds import Cancel, Cancelled
from qostui.services.lanes import Lanes
from qostui.services.pace import Pace, Truce
from qostui.services.polling import Feed


@dataclass(frozen=True)
class Thing:
    key: str
    value: int = 0


class HandClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 12, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


class HandSource:
    """Serves what the test puts into `rows`; `fail` is raised after the first batch."""

    def __init__(self, *rows: Thing) -> None:
        self.rows = list(rows)
        self.fail: Exception | None = None
        self.changed: list[Thing] | None = None
        self.asked: list[str] = []
        self.moments: list[datetime] = []

    def full(self, cancel: Cancel) -> Iterator[Sequence[Thing]]:
        self.asked.append("full")
        yield self.rows[:1]
        if self.fail is not None:
            raise self.fail
        yield self.rows[1:]

    def since(self, moment: datetime, cancel: Cancel) -> Iterator[Sequence[Thing]] | None:
        if self.changed is None:
            return None
        return self._increment(moment, self.changed)

    def _increment(self, moment: datetime, changed: list[Thing]) -> Iterator[Sequence[Thing]]:
        self.asked.append("since")
        self.moments.append(moment)
        yield changed


def feed_of(source: Any, clock: HandClock, **more: Any) -> Feed[Thing]:
    return Feed("things", source, Lanes(), pace=more.pop("pace", Pace()), clock=clock, jitter=lambda: 0.5, **more)


def test_a_full_listing_then_increments_then_a_sweep() -> None:
    clock, source = HandClock(), HandSource(Thing("a"), Thing("b"))
    feed = feed_of(source, clock)
    assert feed.status.state == "waiting"
    feed.poll()
    assert feed.status.state == "live"
    assert feed.status.count == 2
    assert feed.status.good_at == clock.now()
    source.changed, clock.seconds = [Thing("a", 1)], 5.0
    feed.poll()
    assert feed.drain().upserted == {"a": Thing("a", 1), "b": Thing("b")}
    # Increments reach back over the overlap; deletions only show in the sweep.
    assert source.moments == [datetime(2026, 11, 22, 11, 59, 55, tzinfo=UTC)]
    source.rows, clock.seconds = [Thing("b")], 5.0 + Pace().sweep_max
    feed.poll()
    assert source.asked == ["full", "since", "full"]
    assert feed.drain().removed == {"a"}


def test_increments_are_asked_on_the_servers_clock() -> None:
    clock, source = HandClock(), HandSource(Thing("a"))
    server = datetime(2030, 1, 1, tzinfo=UTC)
    feed = feed_of(source, clock, server_now=lambda: server)
    feed.poll()
    source.changed = []
    feed.poll()
    assert source.moments == [server - timedelta(seconds=5)]


def test_a_broken_listing_keeps_the_rows_and_backs_off() -> None:
    clock, source = HandClock(), HandSource(Thing("a"), Thing("b"), Thing("c"))
    feed = feed_of(source, clock)
    feed.poll()
    source.fail = ConnectionProblem("the answer broke off")
    clock.seconds = 400.0
    waits = []
    for _ in range(8):
        feed.poll()
        waits.append(feed.delay())
    status = feed.status
    assert status.state == "failed"
    assert (status.count, status.unconfirmed) == (3, 2)
    assert status.problem is source.fail
    assert status.good_at == datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert waits[:4] == [2.0, 4.0, 8.0, 16.0]
    assert waits[-1] == Pace().backoff_max
    assert status.next_try == clock.now() + timedelta(seconds=60)
    source.fail = None
    feed.poll()
    assert feed.status.state == "live"
    assert feed.status.unconfirmed == 0
    assert feed.delay() == Pace().interval


def test_what_waiting_does_not_mend_is_not_asked_again_at_once() -> None:
    source = HandSource(Thing("a"))
    source.fail = DeniedProblem("not allowed")
    feed = feed_of(source, HandClock())
    feed.poll()
    assert feed.delay() >= Pace().backoff_hopeless


def test_a_fault_of_our_own_is_told_without_its_text() -> None:
    source = HandSource(Thing("a"))
    source.fail = ValueError("token=s3cret")
    feed = feed_of(source, HandClock())
    feed.poll()
    problem = feed.status.problem
    assert problem is not None
    assert "ValueError" in problem.summary
    assert "s3cret" not in f"{problem.summary}{problem.detail}{problem.step}"


def test_a_listing_that_is_cancelled_in_the_middle_removes_nothing() -> None:
    source = HandSource(Thing("a"), Thing("b"), Thing("c"))
    feed = feed_of(source, HandClock())
    feed.poll()
    source.fail = Cancelled()
    feed.refresh()
    feed.poll()
    assert (feed.status.count, feed.status.unconfirmed) == (3, 2)
    assert feed.drain().removed == frozenset()


def test_while_full_listings_break_off_increments_go_on() -> None:
    clock, source = HandClock(), HandSource(Thing("a"), Thing("b"))
    source.changed = [Thing("b", 1)]
    feed = feed_of(source, clock)
    feed.poll()
    source.fail, clock.seconds = ConnectionProblem("the answer broke off"), 20.0
    feed.poll()
    assert feed.status.state == "failed"
    clock.seconds = 22.0
    feed.poll()
    assert source.asked == ["full", "full", "since"]
    # Nothing is lost: the increment reaches back to the last poll that ended well, and what the listing missed is marked.
    assert source.moments == [datetime(2026, 11, 22, 11, 59, 55, tzinfo=UTC)]
    assert (feed.status.state, feed.status.count) == ("live", 2)
    assert feed.drain().upserted["b"] == Thing("b", 1)


class Slow(HandSource):
    """Each call takes its time."""

    def __init__(self, clock: HandClock, seconds: float, *rows: Thing) -> None:
        super().__init__(*rows)
        self.clock, self.seconds = clock, seconds

    def full(self, cancel: Cancel) -> Iterator[Sequence[Thing]]:
        yield from super().full(cancel)
        self.clock.seconds += self.seconds

    def _increment(self, moment: datetime, changed: list[Thing]) -> Iterator[Sequence[Thing]]:
        yield from super()._increment(moment, changed)
        self.clock.seconds += self.seconds


def test_a_source_that_answers_slowly_is_polled_more_rarely() -> None:
    clock = HandClock()
    source = Slow(clock, 3.0, Thing("a"))
    feed = feed_of(source, clock, pace=Pace(interval=2.0))
    feed.poll()
    assert feed.delay() == 2.0  # increments may be quicker
    feed.poll()
    assert source.asked == ["full", "full"]
    assert feed.delay() == 12.0
    source.changed, source.seconds = [], 0.1
    feed.poll()
    assert source.asked == ["full", "full", "since"]
    assert feed.delay() == 2.0


def test_a_server_that_asks_for_fewer_calls_is_left_alone_by_all_feeds_of_its_profile() -> None:
    clock = HandClock()
    truce, source, other = Truce(clock), HandSource(Thing("a")), HandSource(Thing("x"))
    asked, bystander = feed_of(source, clock, truce=truce), feed_of(other, clock, truce=truce)
    bystander.poll()
    source.fail = OverloadProblem("HTTP 502")
    asked.poll()
    assert bystander.left(0.0) == Pace().interval  # its own trouble
    source.fail = OverloadProblem("HTTP 429", retry_after=40.0, everywhere=True)
    asked.poll()
    assert bystander.left(0.0) == 45.0
    assert bystander.status.state == "live"
    assert bystander.status.note == "waits 45 s: the server asks for fewer calls"
    clock.seconds = 46.0
    assert bystander.left(0.0) <= 0.0
    assert bystander.status.note == ""


def test_unwatched_feeds_ask_more_slowly() -> None:
    feed = feed_of(HandSource(), HandClock(), pace=Pace(interval=4.0, slow_factor=6.0))
    feed.poll()
    feed.watch(False)
    assert feed.delay() == 24.0


class Kept:
    def __init__(self, rows: Sequence[Thing]) -> None:
        self.rows, self.saved = rows, list[Sequence[Any]]()

    def load(self, view_id: str) -> tuple[Sequence[Thing], datetime] | None:
        return self.rows, datetime(2026, 11, 21, tzinfo=UTC)

    def save(self, view_id: str, rows: Sequence[Any], good_at: datetime) -> None:
        self.saved.append(rows)


def test_the_rows_of_the_last_run_are_dated_until_the_first_answer() -> None:
    kept = Kept([Thing("a"), Thing("gone")])
    feed = feed_of(HandSource(Thing("a")), HandClock(), snapshots=kept)
    feed.recall()
    status = feed.status
    assert (status.count, status.unconfirmed, status.from_last_run) == (2, 2, True)
    assert status.last_run_at == datetime(2026, 11, 21, tzinfo=UTC)
    feed.poll()
    status = feed.status
    assert (status.count, status.unconfirmed, status.from_last_run, status.last_run_at) == (1, 0, False, None)
    assert kept.saved == [[Thing("a")]]


class Hanging:
    """A source that hangs; `deaf` ones do not even notice that they are cancelled."""

    def __init__(self, deaf: bool) -> None:
        self.deaf, self.free, self.closed = deaf, threading.Event(), 0

    def full(self, cancel: Cancel) -> Iterator[Sequence[Thing]]:
        def close() -> None:
            self.closed += 1
            if not self.deaf:
                self.free.set()

        cancel.closes(close)
        self.free.wait(30)
        yield [Thing("late")]

    def since(self, moment: datetime, cancel: Cancel) -> None:
        return None


def until(happens: Callable[[], bool], seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while not happens() and time.monotonic() < end:
        time.sleep(0.01)
    return happens()


def test_a_hanging_call_is_closed_at_the_time_limit_and_says_so() -> None:
    source = Hanging(deaf=False)
    feed = feed_of(source, HandClock(), pace=Pace(time_limit=0.05))
    feed.poll()
    assert source.closed == 1
    problem = feed.status.problem
    assert isinstance(problem, ConnectionProblem)
    assert feed.status.count == 0


def test_lanes_that_cannot_be_ended_are_bounded(monkeypatch: Any) -> None:
    monkeypatch.setattr("qostui.services.lanes.GRACE_S", 0.01)
    source, lanes = Hanging(deaf=True), Lanes(abandoned_limit=2)
    feed: Feed[Thing] = Feed("things", source, lanes, pace=Pace(time_limit=0.01), clock=HandClock())
    for _ in range(5):
        feed.poll()
    assert lanes.abandoned == 2
    assert feed.status.state == "paused"
    source.free.set()
    assert until(lambda: lanes.abandoned == 0)


def test_closing_never_waits_for_a_lane() -> None:
    source, lanes = Hanging(deaf=True), Lanes()
    feed: Feed[Thing] = Feed("things", source, lanes)
    feed.start()
    assert until(lambda: feed.status.state == "loading")
    began = time.monotonic()
    feed.stop()
    lanes.close()
    assert time.monotonic() - began < 0.1
    assert until(lambda: source.closed == 1)
    source.free.set()


def test_refresh_wakes_a_sleeping_feed_for_a_full_listing() -> None:
    source = HandSource(Thing("a"))
    source.changed = []
    lanes = Lanes()
    feed: Feed[Thing] = Feed("things", source, lanes, pace=Pace(interval=60.0))
    feed.start()
    assert until(lambda: source.asked == ["full"] and feed.status.state == "live")
    feed.refresh()
    assert until(lambda: source.asked == ["full", "full"])
    feed.stop()
    lanes.close()
