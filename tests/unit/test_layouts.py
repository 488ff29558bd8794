"""Columns as a person arranged them, kept between runs; a file that cannot be used costs nothing but itself."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from qostui.domain.table import Column, Layout
from qostui.domain.text import clean
from qostui.services.layouts import VERSION, WIDEST, Layouts
from qostui.ui.widgets.columns import GUTTER, NARROWEST, chosen, place

MINE = Layout(frozenset({"size"}), frozenset({"account"}), (("did", 40),))


def test_what_is_kept_is_there_in_the_next_run(tmp_path: Path) -> None:
    file = tmp_path / "state" / "columns.json"
    Layouts(file).keep("rules", MINE)
    assert Layouts(file).of("rules") == MINE
    assert Layouts(file).of("rses") == Layout()
    assert file.stat().st_mode & 0o077 == 0
    assert {path.name for path in file.parent.iterdir()} == {"columns.json", "columns.json.lock"}


def test_two_consoles_keep_the_columns_of_each_other(tmp_path: Path) -> None:
    file = tmp_path / "columns.json"
    one, other = Layouts(file), Layouts(file)
    one.keep("rules", MINE)
    other.keep("rses", MINE)
    assert (Layouts(file).of("rules"), Layouts(file).of("rses")) == (MINE, MINE)
    one.keep("rules", Layout())
    assert (Layouts(file).of("rules"), Layouts(file).of("rses")) == (Layout(), MINE)


def test_without_a_file_it_is_kept_for_this_run() -> None:
    layouts = Layouts(None)
    layouts.keep("rules", MINE)
    assert layouts.of("rules") == MINE


def test_a_place_that_cannot_be_written_costs_only_the_memory(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a directory should be")
    layouts = Layouts(tmp_path / "state" / "columns.json")
    layouts.keep("rules", MINE)
    assert layouts.of("rules") == MINE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        json.dumps({"version": VERSION + 1, "views": {"rules": {"hidden": ["did"], "shown": [], "widths": {}}}}),
        json.dumps({"version": VERSION, "views": []}),
        json.dumps({"version": VERSION, "views": {"rules": {"hidden": ["did"]}}}),
        json.dumps({"version": VERSION, "views": {"rules": {"hidden": [], "shown": [], "widths": {"did": "wide"}}}}),
    ],
)
def test_a_file_that_makes_no_sense_means_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "columns.json"
    file.write_text(text)
    assert Layouts(file).of("rules") == Layout()


def test_absurd_widths_are_left_away(tmp_path: Path) -> None:
    file = tmp_path / "columns.json"
    record = {"hidden": [], "shown": [], "widths": {"did": 10**9, "state": -4, "size": WIDEST}}
    file.write_text(json.dumps({"version": VERSION, "views": {"rules": record}}))
    assert Layouts(file).of("rules").widths == (("size", WIDEST),)


def column(name: str, width: int | None, priority: int = 1) -> Column[str]:  # type: ignore[type-var]  # only its width matters here
    return Column(name, name.upper(), lambda row, now: clean(row), lambda row: row, width, priority=priority)


COLUMNS = (column("did", 30), column("state", 10), column("size", 8, 2), column("account", 10, 3), column("why", None))


@pytest.mark.parametrize(("terminal", "names"), [(80, "did state why"), (120, "did state size why"), (160, "did state size account why")])
def test_priorities_decide_what_a_terminal_shows(terminal: int, names: str) -> None:
    assert [each.id for each in chosen(COLUMNS, Layout(), terminal)] == names.split()


def test_a_persons_wish_goes_before_priorities_but_the_first_column_stays() -> None:
    wish = Layout(hidden=frozenset({"did", "why"}), shown=frozenset({"account"}))
    assert [each.id for each in chosen(COLUMNS, wish, 80)] == ["did", "state", "account"]


@pytest.mark.parametrize("terminal", [40, 80, 100, 120, 139, 140, 200, 300])
@pytest.mark.parametrize("layout", [Layout(), MINE, Layout(widths=(("did", 3), ("why", 50)))])
def test_columns_fill_the_room_and_do_not_touch(terminal: int, layout: Layout) -> None:
    placed = place(COLUMNS, layout, terminal, terminal - 1)
    assert placed[0].x == GUTTER
    for left, right in pairwise(placed):
        assert left.end < right.x
    wanted = dict(layout.widths)
    for each in placed:
        if each.column.id in wanted:
            assert each.width == wanted[each.column.id]
    if placed[-1].column.width is None and "why" not in wanted and placed[-1].width > NARROWEST:
        assert placed[-1].end == terminal - 1
