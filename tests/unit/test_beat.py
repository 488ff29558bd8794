"""When the console looks at its feeds: on a loop whose time the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from qostui.services.feeds import FeedStatus
from qostui.ui.beat import EAGER_EVERY, TICK_EVERY, Beat
from qostui.ui.terminal import LOCAL, SLOW, Line


class Handle:
    def __init__(self, at: float, call: Callable[[], None]) -> None:
        self._at, self.call, self.wanted = at, call, True

    def when(self) -> float:
        return self._at

    def cancel(self) -> None:
        self.wanted = False


class Loop:
    """As much of an event loop as the beat uses."""

    def __init__(self) -> None:
        self.now = 100.0
        self.planned: list[Handle] = []

    def time(self) -> float:
        return self.now

    def call_at(self, at: float, call: Callable[[], None]) -> Handle:
        self.planned.append(Handle(at, call))
        return self.planned[-1]

    def call_soon_threadsafe(self, call: Callable[..., None], *arguments: Any) -> None:
        call(*arguments)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while due := sorted((each for each in self.planned if each.wanted and each.when() <= end), key=Handle.when):
            self.planned.remove(due[0])
            self.now = max(self.now, due[0].when())
            due[0].call()
        self.now = end


class Pane:
    """A pane that counts its drains."""

    is_mounted = True

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.drains: list[float] = []
        self.backlog = 0
        self.feed = SimpleNamespace(status=FeedStatus("live", count=3))
        self.broken = False

    def drain(self) -> None:
        if self.broken:
            raise ValueError("broken")
        self.drains.append(self._loop.now)
        self.backlog = max(0, self.backlog - 1)


class Console:
    def __init__(self, pane: Pane | None) -> None:
        self.app_focus = True
        self.pane = pane
        self.rows_held = 0
        self.frames = 0
        self.errors: list[Exception] = []

    def show_frame(self) -> None:
        self.frames += 1

    def failed(self, error: Exception) -> None:
        self.errors.append(error)


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    made = Loop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: made)
    return made


def begun(loop: Loop, line: Line = LOCAL) -> tuple[Beat, Console, Pane]:
    pane = Pane(loop)
    console = Console(pane)
    beat = Beat(cast("Any", console), line)
    beat.collector = cast("Any", SimpleNamespace(start=lambda: None, stop=lambda: None, tick=lambda rows: None))
    beat.start()
    loop.run(0)
    assert pane.drains == [loop.now], "the first look is at once"
    pane.drains.clear()
    console.frames = 0
    return beat, console, pane


def test_without_news_there_is_one_look_a_second(loop: Loop) -> None:
    _, console, pane = begun(loop)
    loop.run(10 * TICK_EVERY)
    assert len(pane.drains) == 10
    assert console.frames == 10


def test_news_are_looked_at_at_once_and_then_ten_times_a_second_at_most(loop: Loop) -> None:
    beat, _, pane = begun(loop)
    loop.run(0.5)
    beat.news(cast("Any", pane))
    loop.run(0)
    assert pane.drains == [loop.now]
    for _ in range(100):
        beat.news(cast("Any", pane))
        loop.run(0.01)
    assert len(pane.drains) == pytest.approx(11, abs=1)


def test_news_of_a_pane_that_is_not_seen_wake_nobody(loop: Loop) -> None:
    beat, _, pane = begun(loop)
    beat.news(cast("Any", Pane(loop)))
    loop.run(0.9)
    assert pane.drains == []


def test_what_one_look_cannot_take_in_is_taken_in_soon(loop: Loop) -> None:
    beat, _, pane = begun(loop)
    loop.run(0.5)
    pane.backlog = 5
    beat.news(cast("Any", pane))
    loop.run(4.5 * EAGER_EVERY)
    assert len(pane.drains) == 5
    loop.run(0.5)
    assert len(pane.drains) == 5


def test_first_rows_are_looked_for_until_they_are_there(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic", loop.time)
    beat, console, pane = begun(loop)
    pane.feed.status = FeedStatus("loading")
    beat.expect_rows()
    loop.run(1.0)
    assert len(pane.drains) > 0.8 / EAGER_EVERY
    assert console.frames == 0, "an empty frame would be painted for nothing"
    pane.feed.status = FeedStatus("live", count=1)
    loop.run(2 * EAGER_EVERY)
    assert console.frames == 1
    before = len(pane.drains)
    loop.run(0.5)
    assert len(pane.drains) == before


def test_without_the_focus_and_over_a_slow_line_looks_are_rare(loop: Loop) -> None:
    beat, console, pane = begun(loop, SLOW)
    console.app_focus = False
    for _ in range(1000):
        beat.news(cast("Any", pane))
        loop.run(0.01)
    assert len(pane.drains) == pytest.approx(10 / (SLOW.drain_every * SLOW.background_step), abs=1)


def test_an_error_ends_the_console_and_a_beat_that_ended_looks_no_more(loop: Loop) -> None:
    beat, console, pane = begun(loop)
    pane.broken = True
    loop.run(TICK_EVERY)
    assert [str(error) for error in console.errors] == ["broken"]
    pane.broken = False
    beat.stop()
    beat.news(cast("Any", pane))
    loop.run(5.0)
    assert pane.drains == []
