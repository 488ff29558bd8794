"""100,000 rows on the screen against a naive model of them, line by line: speed must never cost truth."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from qostui.domain import query, sort
from qostui.domain.rule import Rule
from qostui.domain.table import View
from qostui.services.views.rules import VIEW
from qostui.ui.widgets.live_table import LiveTable

from . import fakes
from .conftest import Console, Opened

MANY = 100_000
EACH_STEP = 100
"""Rows that change before each look: 1,000 a second at ten looks a second."""
STATES = ("OK", "OK", "OK", "REPLICATING", "STUCK", "SUSPENDED")
FILTERS = ("", "s", "st", "stuck", "state:stuck,replicating", "!ok", "size>500GB", "run0000", "/7$/", "account:alice run1")
LETTERS = "".join(column.letter for column in VIEW.columns if column.letter)
KEYS = ("down", "up", "pagedown", "pageup", "G", "g", "space", "right", "left")

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("key"), st.sampled_from(KEYS)),
        st.tuples(st.just("sort"), st.sampled_from(LETTERS)),
        st.tuples(st.just("filter"), st.sampled_from(FILTERS)),
        st.tuples(st.just("remove"), st.integers(1, 3000)),
        st.tuples(st.just("wait"), st.integers(1, 4000)),
    ),
    min_size=12,
    max_size=18,
)


def a_row(number: int, chance: random.Random) -> Rule:
    """A rule of any state."""
    stuck, moving = chance.randrange(5), chance.randrange(9)
    return fakes.a_rule(
        f"fair:run{number:06d}",
        chance.choice(STATES),
        account=chance.choice(("ops", "alice")),
        bytes=chance.randrange(10**12),
        locks_ok_cnt=chance.randrange(200),
        locks_replicating_cnt=moving,
        locks_stuck_cnt=stuck,
        created_at=fakes.NOW - timedelta(seconds=chance.randrange(10**6)),
    )


class Naive:
    """What must be on the screen, worked out the slow way from the same rows."""

    def __init__(self, seen: Console, view: View[Any], chance: random.Random) -> None:
        self.seen, self.view, self.chance = seen, view, chance
        self.rows: dict[str, Any] = dict(seen.session.feed("rules").rows)
        self.filter = ""
        self.order: sort.Order = view.order
        self.marks: set[str] = set()

    @property
    def keys(self) -> list[str]:
        wanted = query.parse(self.filter, self.view)
        now = self.seen.clock.moment
        return [row.key for row in sort.arrange([row for row in self.rows.values() if wanted.matches(row, now)], self.order, self.view)]

    def change(self) -> None:
        """A tenth of a second of a busy instance."""
        feed = self.seen.session.feed("rules")
        changed = [a_row(int(key[-6:]), self.chance) for key in self.chance.sample(list(self.rows), min(EACH_STEP, len(self.rows)))]
        feed.put(*changed)
        self.rows.update((row.key, row) for row in changed)

    def remove(self, count: int) -> None:
        gone = self.chance.sample(list(self.rows), min(count, len(self.rows)))
        self.seen.session.feed("rules").remove(*gone)
        for key in gone:
            del self.rows[key]
        self.marks.difference_update(gone)

    def line(self, key: str, table: LiveTable[Any]) -> str:
        """The line of a row without scrolling sideways: every column padded or cut to its width (texts here are plain)."""
        row, cells = self.rows[key], []
        for placed in table._painter.placed:
            text = placed.column.text(row, self.seen.clock.moment)
            text = text if len(text) <= placed.width else text[: placed.width - 1] + "…"
            pad = " " * (placed.width - len(text))
            cells.append((placed.x, pad + text if placed.column.align == "right" else text + pad))
        line = ("▌" if key == table.cursor_key else " ") + ("✓" if key in self.marks else " ")
        for x, cell in cells:
            line = line.ljust(x) + cell
        return line


async def until(seen: Console, condition: Callable[[], bool]) -> None:
    """Let the console work until it has shown what it was told."""
    for _ in range(2000):
        await seen.settle()
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the table did not come to rest")


async def compare(seen: Console, naive: Naive) -> None:
    table = seen.table
    await until(seen, lambda: not table.model.rearranging and not seen.pane.backlog)
    keys = naive.keys
    assert table.model.keys(0, len(table.model)) == keys
    assert f"{len(keys):,}" in seen.pane.feed_line.plain
    assert set(table.model.marked()) == naive.marks
    top, page = int(table.scroll_offset.y), table.size.height - 1
    region = table.region
    screen = seen.screen.splitlines()[region.y + 1 : region.y + region.height]
    shown = keys[top : top + page]
    if table.scroll_offset.x == 0:
        for number, key in enumerate(shown):
            assert screen[number][: region.width - 1].rstrip() == naive.line(key, table)[: region.width - 1].rstrip(), key
    if keys:
        assert table.cursor_key in shown, "the cursor is on the screen"
        assert keys[table._cursor] == table.cursor_key


async def act(seen: Console, naive: Naive, step: str, value: Any) -> None:
    if step == "sort":
        column = next(column.id for column in VIEW.columns if column.letter == value)
        descending = not naive.order[0][1] if naive.order[0][0] == column else False
        naive.order = ((column, descending), *(item for item in VIEW.order if item[0] != column))
        await seen.press("s", value)
    elif step == "filter":
        naive.filter = value
        seen.pane.set_filter(value)
    elif step == "remove":
        naive.remove(value)
    elif step == "wait":
        seen.clock.moment += timedelta(seconds=value)
        seen.table.set_view()
    elif value == "space" and seen.table.cursor_key is not None:
        naive.marks ^= {seen.table.cursor_key}
        await seen.press("space")
    else:
        await seen.press(value)


@pytest.mark.slow
def test_what_is_on_the_screen_is_what_a_naive_model_says(console: Opened) -> None:
    chance = random.Random(7)  # noqa: S311  # rows, not secrets
    rows = [a_row(number, chance) for number in range(MANY)]

    async def story(steps: list[tuple[str, Any]], size: tuple[int, int], seed: int) -> None:
        # Hours pass: credentials that end meanwhile would be announced over the table.
        feeds = {**fakes.feeds(), "rules": fakes.FakeFeed(rows), "credentials": fakes.FakeFeed()}
        async with console(pane="2", size=size, feeds=feeds) as seen:
            naive = Naive(seen, seen.table.view, random.Random(seed))  # noqa: S311  # as above
            await compare(seen, naive)
            for step, value in steps:
                naive.change()
                await act(seen, naive, step, value)
                naive.change()
                await compare(seen, naive)

    @settings(max_examples=2, phases=(Phase.explicit, Phase.generate), database=None, derandomize=True)
    @given(STEPS, st.sampled_from(((80, 24), (120, 40), (200, 60))), st.integers(0, 100))
    def told(steps: list[tuple[str, Any]], size: tuple[int, int], seed: int) -> None:
        asyncio.run(story(steps, size, seed))

    told()


def test_the_naive_model_would_notice(console: Opened) -> None:
    """A row that changes behind the table's back is a difference that `compare` finds."""

    async def story() -> None:
        async with console(pane="2") as seen:
            naive = Naive(seen, seen.table.view, random.Random(1))  # noqa: S311  # as above
            await compare(seen, naive)
            first = naive.keys[0]
            naive.rows[first] = replace(naive.rows[first], locks_stuck_cnt=99)
            with pytest.raises(AssertionError):
                await compare(seen, naive)

    asyncio.run(story())
