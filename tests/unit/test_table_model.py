"""The rows behind a table against a naive model of them: speed must never cost truth."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from qostui.domain import query, sort
from qostui.domain.rule import Rule
from qostui.services.feeds import Changes
from qostui.services.table_model import RUN, Rearrangement, TableModel
from qostui.services.views.rules import VIEW

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
STATES = ("OK", "STUCK", "REPLICATING", "SUSPENDED", "WAITING_APPROVAL", "INJECT", "NEW_TO_US")
FILTERS = ("", "s", "st", "stuck", "state:stuck", "state:stuck,ok", "!ok", "size>1GB", "age<1d", "/run.*7/", "account:ops run", "ops !run3")
COLUMNS = tuple(column.id for column in VIEW.columns)


def rule(number: int, seed: int) -> Rule:
    """A rule whose values follow from two numbers."""
    return Rule(
        id=f"{number:06x}",
        scope=("fair", "ska", "望遠")[seed % 3],
        name=f"run{number % 97}",
        did_type="DATASET",
        account=("ops", "alice")[seed % 2],
        state=STATES[seed % len(STATES)],
        rse_expression="QOS=SAFE",
        copies=1 + seed % 3,
        locks_ok_cnt=seed % 11,
        locks_replicating_cnt=seed % 5,
        locks_stuck_cnt=seed % 7,
        bytes=None if seed % 13 == 0 else seed * 10**7,
        created_at=None if seed % 17 == 0 else NOW - timedelta(minutes=seed % 5000),
    )


def naive(rows: dict[str, Rule], filter_text: str, order: sort.Order) -> list[str]:
    """What must be shown, worked out the slow way."""
    wanted = query.parse(filter_text, VIEW)
    return [row.key for row in sort.arrange([row for row in rows.values() if wanted.matches(row, NOW)], order, VIEW)]


ROWS = st.dictionaries(st.integers(0, 300), st.integers(0, 10_000), max_size=60)
ORDERS = st.lists(st.tuples(st.sampled_from(COLUMNS), st.booleans()), max_size=3).map(tuple)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), ROWS),
        st.tuples(st.just("remove"), st.sets(st.integers(0, 300), max_size=20)),
        st.tuples(st.just("filter"), st.sampled_from(FILTERS)),
        st.tuples(st.just("order"), ORDERS),
        st.tuples(st.just("mark"), st.integers(0, 300)),
        st.tuples(st.just("begin filter"), st.sampled_from(FILTERS)),
        st.tuples(st.just("finish"), st.none()),
    ),
    max_size=25,
)


class Pair:
    """A model and the naive truth beside it."""

    def __init__(self) -> None:
        self.model: TableModel[Rule] = TableModel(VIEW)
        self.rows: dict[str, Rule] = {}
        self.filter = ""
        self.order = VIEW.order
        self.marks: set[str] = set()
        self.under_way: tuple[Rearrangement[Rule], str, sort.Order] | None = None

    def do(self, step: str, value: object) -> None:
        if step == "put":
            rows = {row.key: row for row in (rule(*each) for each in value.items())}  # type: ignore[attr-defined]  # a dict by then
            self.rows |= rows
            self.model.apply(Changes(rows, frozenset(), frozenset()), NOW)
        elif step == "remove":
            keys = frozenset(f"{number:06x}" for number in value)  # type: ignore[attr-defined]  # a set by then
            for key in keys:
                self.rows.pop(key, None)
            self.marks -= keys
            self.model.apply(Changes({}, keys, frozenset()), NOW)
        elif step == "mark":
            key = f"{value:06x}"
            if key in self.rows:
                self.marks ^= {key}
                self.model.marks ^= {key}
        elif step == "finish":
            self.finish()
        else:
            text = str(value) if step.endswith("filter") else self.filter
            order = value if step == "order" else self.order
            job = self.model.rearrange(NOW, wanted=query.parse(text, VIEW), order=order)  # type: ignore[arg-type]  # an Order by then
            self.under_way = (job, text, order)  # type: ignore[assignment]
            if not step.startswith("begin"):
                self.finish()

    def finish(self) -> None:
        if self.under_way is not None:
            job, text, order = self.under_way
            job.run(rest=True)
            assert self.model.take(job, NOW)
            self.filter, self.order, self.under_way = text, order, None

    def check(self) -> None:
        wanted = naive(self.rows, self.filter, self.order)
        assert self.model.keys(0, len(self.model)) == wanted
        assert [self.model.index(key) for key in wanted] == list(range(len(wanted)))
        assert self.model.key_at(len(wanted)) is None
        assert set(self.model.marked()) == self.marks
        assert [key for key in self.model.marked() if key in wanted] == [key for key in wanted if key in self.marks]


@given(STEPS)
def test_whatever_happens_the_model_shows_what_a_naive_one_shows(steps: list[tuple[str, object]]) -> None:
    pair = Pair()
    for step, value in steps:
        pair.do(step, value)
        pair.check()


def test_a_sort_in_pieces_is_a_sort() -> None:
    pair = Pair()
    pair.do("put", {number: (number * 7919) % 10_007 for number in range(5 * RUN)})
    for column in COLUMNS:
        for descending in (False, True):
            pair.do("order", ((column, descending),))
            pair.check()


def test_one_that_is_no_longer_wanted_changes_nothing() -> None:
    pair = Pair()
    pair.do("put", {number: number for number in range(200)})
    first = pair.model.rearrange(NOW, wanted=query.parse("state:ok", VIEW), order=VIEW.order)
    pair.do("begin filter", "state:stuck")
    first.run(rest=False)
    assert first.outcome is None
    assert not pair.model.take(first, NOW)
    pair.do("finish", None)
    pair.check()


def test_a_filter_typed_on_looks_only_at_what_is_shown() -> None:
    pair = Pair()
    pair.do("put", {number: number for number in range(300)})
    pair.do("filter", "st")
    shown = len(pair.model)
    assert 0 < shown < 300
    job = pair.model.rearrange(NOW, wanted=query.parse("stu", VIEW), order=VIEW.order)
    assert job.size == shown
    assert pair.model.rearrange(NOW, wanted=query.parse("s", VIEW), order=VIEW.order).size == 300
    assert pair.model.rearrange(NOW, wanted=query.parse("st", VIEW), order=VIEW.order).size == 300, "the same again: ages may have moved"


@settings(max_examples=30)
@given(st.lists(st.text(max_size=6)))
def test_texts_sort_downwards_as_upwards_turned_round(names: list[str]) -> None:
    rows = [replace(rule(number, 1), name=name.replace("\0", ""), scope="s") for number, name in enumerate(dict.fromkeys(names))]
    up = [row.name for row in sort.arrange(rows, (("did", False),), VIEW)]
    down = [row.name for row in sort.arrange(rows, (("did", True),), VIEW)]
    assert [*dict.fromkeys(down)] == [*dict.fromkeys(reversed(up))]
