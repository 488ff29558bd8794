"""The store forgets truthfully: whatever happens, its drained changes add up to what it holds."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from qostui.services.store import Store


@dataclass(frozen=True)
class Thing:
    key: str
    value: int = 0


def keys(store: Store[Thing]) -> set[str]:
    return {row.key for row in store.rows()}


def listed(store: Store[Thing], *rows: Thing) -> None:
    store.begin()
    store.put(rows)
    store.end()


def test_a_clean_listing_removes_what_it_did_not_name() -> None:
    store: Store[Thing] = Store()
    listed(store, Thing("a"), Thing("b"))
    store.drain()
    listed(store, Thing("b"))
    assert keys(store) == {"b"}
    changes = store.drain()
    assert changes.removed == {"a"}
    assert changes.upserted == {}


def test_a_broken_listing_removes_nothing_and_says_what_it_could_not_confirm() -> None:
    store: Store[Thing] = Store()
    listed(store, Thing("a"), Thing("b"), Thing("c"))
    store.begin()
    store.put([Thing("b", 1)])
    store.broke()
    assert keys(store) == {"a", "b", "c"}
    assert store.drain().unconfirmed == {"a", "c"}
    listed(store, Thing("a"), Thing("b", 1))
    assert store.drain().unconfirmed == set()
    assert keys(store) == {"a", "b"}


def test_increments_add_change_and_confirm_but_never_remove() -> None:
    store: Store[Thing] = Store()
    listed(store, Thing("a"), Thing("b"))
    store.begin()
    store.broke()
    store.put([Thing("a", 2), Thing("c")])
    assert keys(store) == {"a", "b", "c"}
    assert store.drain().unconfirmed == {"b"}


def test_equal_rows_are_no_change_and_the_last_write_wins() -> None:
    store: Store[Thing] = Store()
    listed(store, Thing("a", 1))
    assert store.drain().upserted == {"a": Thing("a", 1)}
    store.put([Thing("a", 1)])
    assert store.drain().upserted == {}
    store.put([Thing("a", 2), Thing("a", 3)])
    assert store.drain().upserted == {"a": Thing("a", 3)}


def test_rows_of_the_last_run_are_unconfirmed_until_listed() -> None:
    store: Store[Thing] = Store()
    store.remember([Thing("a"), Thing("old")])
    assert store.drain().unconfirmed == {"a", "old"}
    listed(store, Thing("a"))
    changes = store.drain()
    assert changes.removed == {"old"}
    assert changes.unconfirmed == set()


KEYS = st.sampled_from("abcdef")
ROWS = st.lists(st.builds(Thing, KEYS, st.integers(0, 2)), max_size=6)


class StoreMachine(RuleBasedStateMachine):
    """A screen that only ever sees drained changes, beside a plain model of the rows."""

    def __init__(self) -> None:
        super().__init__()
        self.store: Store[Thing] = Store()
        self.model: dict[str, Thing] = {}
        self.screen: dict[str, Thing] = {}
        self.seen: set[str] | None = None

    @rule(rows=ROWS)
    def put(self, rows: list[Thing]) -> None:
        self.store.put(rows)
        self.model.update((row.key, row) for row in rows)
        if self.seen is not None:
            self.seen |= {row.key for row in rows}

    @rule()
    def begin(self) -> None:
        self.store.begin()
        self.seen = set()

    @precondition(lambda self: self.seen is not None)
    @rule()
    def end(self) -> None:
        self.store.end()
        self.model = {key: row for key, row in self.model.items() if key in (self.seen or ())}
        self.seen = None

    @precondition(lambda self: self.seen is not None)
    @rule()
    def broke(self) -> None:
        self.store.broke()
        self.seen = None

    @rule(keys=st.sets(KEYS))
    def remove(self, keys: set[str]) -> None:
        self.store.remove(keys)
        self.model = {key: row for key, row in self.model.items() if key not in keys}

    @rule()
    def drain(self) -> None:
        changes = self.store.drain()
        assert not changes.removed & changes.upserted.keys()
        for key in changes.removed:
            self.screen.pop(key, None)
        self.screen.update(changes.upserted)
        assert self.screen == self.model
        assert changes.unconfirmed <= self.model.keys()

    @invariant()
    def holds_the_model(self) -> None:
        assert {row.key: row for row in self.store.rows()} == self.model


StoreMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestStore = StoreMachine.TestCase


def test_a_listener_is_told_once_for_each_time_there_is_something_to_drain() -> None:
    store: Store[Thing] = Store()
    told: list[int] = []
    store.put([Thing("a", 1)])
    store.listen(lambda: told.append(1))
    assert len(told) == 1, "what lay there already"
    store.put([Thing("b", 1)])
    store.remove(["a"])
    assert len(told) == 1, "it has not been drained yet"
    store.drain()
    store.put([Thing("b", 1)])
    assert len(told) == 1, "an equal row is no news"
    store.put([Thing("b", 2)])
    assert len(told) == 2


def test_a_listener_may_drain_in_the_call() -> None:
    store: Store[Thing] = Store()
    got: list[str] = []
    store.listen(lambda: got.extend(store.drain().upserted))
    store.put([Thing("a", 1)])
    store.begin()
    store.put([Thing("b", 1)])
    store.end()
    assert got == ["a", "b"]
