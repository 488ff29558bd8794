"""When garbage is collected, on a clock and a collector of the test's own."""

from __future__ import annotations

import pytest

from qostui.ui.collector import ALL_S, GROWN, OLDER_S, QUIET_S, YOUNG, Collector


class FakeGc:
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.young = 0

    def disable(self) -> None:
        self.calls.append("disable")

    def enable(self) -> None:
        self.calls.append("enable")

    def freeze(self) -> None:
        self.calls.append("freeze")

    def collect(self, generation: int = 2) -> int:
        self.calls.append(f"collect {generation}")
        self.young = 0
        return 0

    def get_count(self) -> tuple[int, int, int]:
        return self.young, 0, 0

    def taken(self) -> list[str]:
        calls, self.calls = self.calls, []
        return calls


class Moments:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def collector() -> tuple[Collector, FakeGc, Moments]:
    fake, moments = FakeGc(), Moments()
    return Collector(fake, moments), fake, moments


def test_it_takes_over_and_gives_back(collector: tuple[Collector, FakeGc, Moments]) -> None:
    one, fake, _ = collector
    one.start()
    one.stop()
    assert fake.taken() == ["disable", "freeze", "enable"]


def test_many_new_rows_are_set_aside_and_not_looked_through(collector: tuple[Collector, FakeGc, Moments]) -> None:
    one, fake, _ = collector
    one.tick(GROWN - 1)
    assert fake.taken() == []
    one.tick(GROWN)
    assert fake.taken() == ["collect 0", "freeze"]
    one.tick(GROWN + 10)
    assert fake.taken() == []


def test_all_is_looked_through_only_when_no_key_is_pressed(collector: tuple[Collector, FakeGc, Moments]) -> None:
    one, fake, moments = collector
    for _ in range(int(4 * ALL_S)):
        moments.now += 1.0
        one.key_pressed()
        one.tick(0)
    assert "collect 2" not in fake.taken()
    moments.now += QUIET_S
    one.tick(0)
    assert fake.taken() == ["collect 2"]
    one.tick(0)
    assert fake.taken() == []


def test_young_objects_go_between_drains_and_older_ones_now_and_then(collector: tuple[Collector, FakeGc, Moments]) -> None:
    one, fake, moments = collector
    fake.young = YOUNG - 1
    one.tick(0)
    assert fake.taken() == []
    fake.young = YOUNG
    one.tick(0)
    assert fake.taken() == ["collect 0"]
    moments.now += OLDER_S
    one.key_pressed()
    one.tick(0)
    assert fake.taken() == ["collect 1"]
