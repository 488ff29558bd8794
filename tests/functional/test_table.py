"""The live table, as the operator uses it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from . import fakes
from .conftest import Opened

HOUR = timedelta(hours=1)


async def test_rows_appear_change_and_go_by_themselves(console: Opened) -> None:
    async with console(pane="2") as seen:
        feed = seen.session.feed("rules")
        feed.put(fakes.a_rule("new:arrival", "STUCK", locks_stuck_cnt=99, error="no space"))
        await seen.settle()
        assert "new:arrival" in seen.screen
        assert seen.keys[0] == "new:arrival"
        feed.put(replace(feed.rows["new:arrival"], state="OK", locks_stuck_cnt=0, locks_ok_cnt=99))
        await seen.settle()
        assert "✔ OK" in seen.table.plain("new:arrival")
        assert seen.keys[0] != "new:arrival"
        feed.remove("new:arrival")
        await seen.settle()
        assert "new:arrival" not in seen.screen


async def test_the_cursor_stays_on_its_row_while_rows_move(console: Opened) -> None:
    async with console(pane="2") as seen:
        await seen.press("down", "down")
        on = seen.table.cursor_key
        assert on == seen.keys[2]
        seen.session.feed("rules").put(*(fakes.a_rule(f"urgent:{number}", "STUCK", locks_stuck_cnt=500 + number) for number in range(50)))
        await seen.settle()
        assert seen.table.cursor_key == on
        assert seen.keys.index(on or "") == 52
        assert (on or "") in seen.screen


async def test_the_cursor_moves_on_when_its_row_goes(console: Opened) -> None:
    async with console(pane="2") as seen:
        await seen.press("down")
        on, after = seen.keys[1], seen.keys[2]
        seen.session.feed("rules").remove(on)
        await seen.settle()
        assert seen.table.cursor_key == after


async def test_before_the_first_key_the_cursor_is_on_the_top_row(console: Opened) -> None:
    async with console(pane="2") as seen:
        seen.session.feed("rules").put(fakes.a_rule("top:most", "STUCK", locks_stuck_cnt=999))
        await seen.settle()
        assert seen.table.cursor_key == "top:most"


async def test_keys_move_by_row_page_and_end(console: Opened) -> None:
    async with console(pane="2", size=(80, 24)) as seen:
        page = seen.table.size.height - 1
        await seen.press("j", "down", "k")
        assert seen.table.cursor_key == seen.keys[1]
        await seen.press("pagedown")
        assert seen.table.cursor_key == seen.keys[1 + page]
        await seen.press("G")
        assert seen.table.cursor_key == seen.keys[-1]
        assert seen.keys[-1][:14] in seen.screen
        await seen.press("g")
        assert seen.table.cursor_key == seen.keys[0]
        await seen.press("end", "pageup", "home", "up")
        assert seen.table.cursor_key == seen.keys[0]


async def test_s_and_a_letter_sort_and_again_turn_the_order(console: Opened) -> None:
    async with console(pane="1") as seen:
        await seen.press("s")
        assert "f·" in seen.screen
        assert "press the letter of a column" in seen.screen
        await seen.press("f")
        assert seen.keys[:2] == ["DESY-DCACHE", "EULAKE-1"]
        assert seen.keys[-1] == "PIC-INJECT", "unknown comes last"
        await seen.press("s", "f")
        assert seen.keys[0] == "INFN-TAPE"
        assert seen.keys[-1] == "PIC-INJECT", "unknown comes last the other way round too"
        assert "FREE ▼" in seen.screen


async def test_a_letter_after_s_does_nothing_else(console: Opened) -> None:
    async with console(pane="2") as seen:
        await seen.press("s", "c")
        assert "copied" not in seen.screen
        assert seen.table.model.order[0][0] == "copies"
        await seen.press("s", "escape")
        assert not seen.table.waits_for
        assert seen.table.model.order[0][0] == "copies"


async def test_filter_shows_matching_rows_and_follows_changes(console: Opened) -> None:
    async with console(pane="2") as seen:
        await seen.press("/", *"state:stuck")
        assert set(seen.keys) == {"fair:raw.run0042", "ska:sdc1"}
        await seen.press("enter")
        assert seen.table.has_focus
        assert "state:stuck" in seen.screen
        assert "2 of 38" in seen.screen
        feed = seen.session.feed("rules")
        feed.put(replace(feed.rows["ska:sdc1"], state="OK", locks_stuck_cnt=0, locks_ok_cnt=4))
        await seen.settle()
        assert seen.keys == ["fair:raw.run0042"]
        await seen.press("escape")
        assert len(seen.keys) == 38


async def test_leaving_the_filter_restores_the_one_before(console: Opened) -> None:
    async with console(pane="2") as seen:
        await seen.press("/", *"cbm", "enter")
        await seen.press("/", *"xyz")
        assert seen.keys == []
        assert "No row passes the filter" in seen.screen
        await seen.press("escape")
        assert seen.keys == ["cbm:aod.v3"]


async def test_a_wrong_filter_says_so_and_hides_nothing(console: Opened) -> None:
    async with console(pane="2") as seen:
        await seen.press("/", *"sate:x")
        assert len(seen.keys) == 38
        assert "sate" in seen.pane.feed_line.plain
        assert "state" in seen.pane.feed_line.plain, "the nearest column is named"
        await seen.press("enter")
        assert seen.pane.input.has_focus, "a filter that cannot be read is not taken"


async def test_keys_typed_into_the_filter_do_nothing_else(console: Opened) -> None:
    async with console(pane="2") as seen:
        await seen.press("/", *"q1:?sr c")
        assert seen.app.is_running
        assert seen.app.pane is seen.pane
        assert seen.pane.view_id == "rules"
        assert seen.pane.input.value == "q1:?sr c"
        assert seen.session.feed("rules").refreshed == 0
        await seen.press("tab")
        assert seen.pane.view_id == "rules"


async def test_space_marks_and_marks_stay_on_their_rows(console: Opened) -> None:
    async with console(pane="2") as seen:
        marked = seen.keys[:2]
        await seen.press("space", "space")
        assert seen.table.model.marked() == marked
        assert "2 marked" in seen.screen
        seen.session.feed("rules").put(fakes.a_rule("urgent:1", "STUCK", locks_stuck_cnt=900))
        await seen.settle()
        assert seen.table.model.marked() == marked
        seen.session.feed("rules").remove(marked[0])
        await seen.settle()
        assert seen.table.model.marked() == marked[1:]


async def test_copy_takes_the_row_or_all_marked_ones(console: Opened) -> None:
    async with console(pane="2") as seen:
        await seen.press("c")
        assert seen.app.clipboard.startswith("fair:raw.run0042  ✖ STUCK")
        await seen.press("space", "space", "c")
        assert seen.app.clipboard.splitlines()[1].startswith("ska:sdc1")
        assert "copied 2 rows" in seen.screen


async def test_y_and_a_letter_copy_one_cell(console: Opened) -> None:
    async with console(pane="2") as seen:
        await seen.press("y")
        assert "to copy that cell" in seen.screen
        await seen.press("e")
        assert seen.app.clipboard == "QOS=SAFE"
        assert "copied EXPRESSION" in seen.screen
        assert seen.table.model.order == seen.table.view.order, "the letter sorts nothing"


async def test_capital_y_copies_the_table_as_it_is_seen(console: Opened) -> None:
    async with console(pane="2") as seen:
        await seen.press("/", *"state:stuck", "enter", "Y")
        lines = [line.split("\t") for line in seen.app.clipboard.splitlines()]
        assert lines[0][:3] == ["DID", "STATE", "COPIES"]
        assert [line[0] for line in lines[1:]] == ["fair:raw.run0042", "ska:sdc1"]
        assert {len(line) for line in lines} == {len(seen.table.view.columns)}


async def test_columns_are_chosen_and_remembered(console: Opened) -> None:
    async with console(pane="2") as seen:
        await seen.press("w")
        assert "Columns of Rules" in seen.screen
        assert "cells …" not in seen.screen, "nothing of a line is cut away"
        await seen.press("space", "down", "space", "down", "down", "right", "right", "enter")
        assert seen.table.columns_shown[0] == "did", "the first column stays"
        assert "state" not in seen.table.columns_shown
        assert "STATE" not in seen.screen
        wider = next(placed.width for placed in seen.table._painter.placed if placed.column.id == "expression")
        assert wider == (seen.table.view.column("expression").width or 0) + 2
        await seen.press("ctrl+t", "down", "enter")
        await seen.press("2")
        assert len(seen.sessions) == 2
        assert "state" not in seen.table.columns_shown, "another profile shows the same columns"
    async with console(pane="2") as seen:
        assert "state" not in seen.table.columns_shown, "and so does the next run"
        await seen.press("w", "down", "backspace", "enter")
        assert "state" in seen.table.columns_shown


async def test_a_column_may_be_shown_on_a_narrow_terminal(console: Opened) -> None:
    async with console(pane="2", size=(80, 24)) as seen:
        assert "copies" not in seen.table.columns_shown
        await seen.press("w", "down", "down", "space", "enter")
        assert "copies" in seen.table.columns_shown
        await seen.press("w", "down", "space", "escape")
        assert "state" in seen.table.columns_shown, "leaving changes nothing"


async def test_the_first_column_stays_while_the_others_move(console: Opened) -> None:
    async with console(pane="2", size=(60, 20)) as seen:
        before = seen.screen
        await seen.press("right")
        lines = [line for line in seen.screen.splitlines() if "fair:raw.run0042" in line]
        assert len(lines) == 1
        assert seen.screen != before
        assert "DID" in seen.screen
        await seen.press("left")
        assert seen.screen == before


async def test_a_changed_cell_is_lit_for_a_moment(console: Opened) -> None:
    async with console(pane="2") as seen:
        feed = seen.session.feed("rules")
        feed.put(replace(feed.rows["cbm:aod.v3"], locks_ok_cnt=44, locks_replicating_cnt=56))
        await seen.settle()
        lit = {column for key, column in seen.table.lit if key == "cbm:aod.v3"}
        assert lit == {"progress", "why"}
        seen.clock.moment += timedelta(seconds=2)
        await seen.settle()
        assert seen.table.lit == set()


async def test_time_alone_lights_nothing_but_is_counted(console: Opened) -> None:
    async with console(pane="2") as seen:
        assert "12 m" in seen.table.plain("cbm:aod.v3")
        seen.clock.moment += HOUR
        await seen.settle()
        assert "72 m" not in seen.screen
        assert " 1 h" in next(line for line in seen.screen.splitlines() if "cbm:aod.v3" in line)
        assert seen.table.lit == set()


async def test_columns_go_by_priority(console: Opened) -> None:
    async with console(pane="2", size=(80, 24)) as seen:
        assert "copies" not in seen.table.columns_shown
        await seen.pilot.resize_terminal(120, 40)
        await seen.settle()
        assert "copies" in seen.table.columns_shown
        assert "account" not in seen.table.columns_shown
        await seen.pilot.resize_terminal(160, 40)
        await seen.settle()
        assert "account" in seen.table.columns_shown


async def test_wide_characters_keep_the_columns_in_line(console: Opened) -> None:
    async with console(pane="2") as seen:
        seen.session.feed("rules").put(fakes.a_rule("ska:望遠鏡データ望遠鏡データ望遠鏡データ", "STUCK", locks_stuck_cnt=900))
        await seen.settle()
        from rich.cells import cell_len

        strips = seen.app.screen._compositor.render_strips()
        lines = ["".join(segment.text for segment in strip) for strip in strips]
        assert {cell_len(line) for line in lines} == {120}
        wide = next(line for line in lines if "望" in line)
        usual = next(line for line in lines if "fair:raw" in line)
        assert cell_len(wide.split("✖", maxsplit=1)[0]) == cell_len(usual.split("✖", maxsplit=1)[0])


async def test_only_changed_lines_are_painted_again(console: Opened) -> None:
    async with console(pane="2") as seen:
        table = seen.table
        painted: list[int] = []
        original = table.render_line
        table.render_line = lambda y: (painted.append(y), original(y))[1]  # type: ignore[method-assign]
        feed = seen.session.feed("rules")
        feed.put(replace(feed.rows["cbm:aod.v3"], locks_ok_cnt=50, locks_replicating_cnt=50))
        await seen.settle()
        assert set(painted) == {seen.keys.index("cbm:aod.v3") + 1}


async def test_many_rows_arrive_in_one_go(console: Opened) -> None:
    many = fakes.FakeFeed(fakes.a_rule(f"bulk:{number:06d}") for number in range(20_000))
    async with console(pane="2", feeds={**fakes.feeds(), "rules": many}) as seen:
        for _ in range(400):
            if len(seen.keys) == 20_000:
                break
            seen.pane.drain()
        assert len(seen.keys) == 20_000
        await seen.press("G")
        assert seen.keys[-1] in seen.screen
