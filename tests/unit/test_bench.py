"""The pure parts of the benchmark: what it counts, how it judges, how it reads a recorded screen, how slow its line is."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest

from bench import report, soak
from bench.apps import rows
from bench.budgets import BUDGETS
from bench.figures import Figure, judge, percentile
from bench.measure import MEASURES
from bench.replay import Replay, first_moment, key_moments, name_at
from bench.slow_line import Line
from bench.terminal import Chunk
from qostui.domain.table import Row
from qostui.services.feeds import Changes
from qostui.services.table_model import TableModel
from qostui.services.views import rules as rules_view

SIZE = (40, 5)


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_a_value_that_was_seen(share: float, value: int) -> None:
    assert percentile(list(range(100, 0, -1)), share) == value


def test_of_few_values_the_high_percentiles_are_the_greatest() -> None:
    assert percentile([3.0, 9.0, 1.0], 0.99) == 9.0
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_a_ratio_is_judged_by_the_medians_of_both() -> None:
    verdict = judge(Figure("listing", (9.0, 12.0, 30.0), {"curl": (10.0, 9.0, 50.0), "rucio-clients": (1.0,)}))
    assert (verdict.limit, verdict.ratio, verdict.kept) == (12.0, 1.2, True)
    assert not judge(Figure("listing", (12.1,), {"curl": (10.0,)})).kept


def test_an_absolute_budget_is_kept_up_to_its_very_figure() -> None:
    assert judge(Figure("hidden", (0.0, 0.0, 7.0))).kept
    assert not judge(Figure("hidden", (1.0,))).kept
    assert not judge(Figure("memory-made", (150.5,), {"DataTable": (177.0,)})).kept


def test_a_ratio_without_its_comparison_is_an_error() -> None:
    with pytest.raises(KeyError):
        judge(Figure("listing", (9.0,), {"rucio-clients": (10.0,)}))


def test_the_table_says_what_is_over() -> None:
    verdicts = [judge(Figure("hidden", (3.0,))), judge(Figure("listing", (9.0,), {"curl": (10.0,)}))]
    lines = report.table(verdicts, (0.5, 0.4, 0.3))
    assert lines[1].split()[-1] == "OVER"
    assert lines[2].split()[-1] == "ok"
    assert lines[2].split("  ")[0] == BUDGETS["listing"].what
    assert lines[-1].startswith("load average 0.50 0.40 0.30")


def test_every_measurement_says_what_it_measures() -> None:
    assert [name for name, measure in MEASURES.items() if not measure.__doc__] == []


def painted(line: int, text: str) -> bytes:
    return f"\x1b[{line + 1};1H\x1b[38;2;1;2;3m{text}\x1b[0m".encode()


def test_a_row_counts_when_the_synchronized_update_is_over() -> None:
    chunks = [
        Chunk(1.0, b"\x1b[?2026h" + painted(1, "▌ first:row  12 %")),
        Chunk(2.0, b"\x1b[?2026l"),
        Chunk(3.0, b"\x1b[?2026h" + painted(1, "  first:row")),
        Chunk(4.0, painted(2, "▌ next:row")),
        Chunk(5.0, b"\x1b[?20"),
        Chunk(6.0, b"26l"),
    ]
    assert first_moment(chunks, SIZE, lambda screen: name_at(screen, screen.cursor_line()) == "first:row") == 2.0
    assert first_moment(chunks, SIZE, lambda screen: name_at(screen, screen.cursor_line()) == "next:row") == 6.0
    assert first_moment(chunks, SIZE, lambda screen: "no such row" in screen.text()) is None


def test_a_frame_counts_though_the_next_one_begins_in_the_same_chunk() -> None:
    update = b"\x1b[?2026h" + painted(1, "▌ first:row") + b"\x1b[?2026l"
    chunks = [Chunk(1.0, update + b"\x1b[?2026h" + painted(1, "▌ other:row")), Chunk(2.0, b"\x1b[?2026l")]
    screen = Replay(SIZE)
    assert [(at, name_at(screen, 1)) for at in screen.frames(chunks)] == [(1.0, "first:row"), (2.0, "other:row")]


def test_a_character_cut_in_two_and_keyboard_protocols_do_not_disturb_the_screen() -> None:
    data = b"\x1b[>1u\x1b[<u\x1b[=5;1u\x1b[?2026$p" + painted(0, "▌ a:b")
    cut = data.index("▌".encode()) + 1
    screen = Replay(SIZE)
    screen.play(data[:cut])
    screen.play(data[cut:])
    assert screen.text().rstrip() == "▌ a:b"
    assert screen.cursor_line() == 0


def test_without_a_cursor_there_is_no_row() -> None:
    screen = Replay(SIZE)
    screen.play(painted(0, "  a:b"))
    assert name_at(screen, screen.cursor_line()) == ""


def test_the_cursor_of_a_datatable_is_the_line_with_a_ground_of_its_own() -> None:
    screen = Replay((10, 8))
    for line in range(8):
        ground = "9;9;9" if line == 5 else "1;1;1"
        screen.play(f"\x1b[{line + 1};1H\x1b[48;2;{ground}m{'x' * 10}\x1b[0m".encode())
    assert screen.lit_line() == 5


def test_each_key_is_given_the_first_frame_that_is_as_far_as_it_leads() -> None:
    frames = [(0.5, 10), (1.2, 10), (1.5, 11), (1.9, None), (2.4, 11), (3.1, 13), (4.0, 13)]
    assert key_moments(frames, [1.0, 2.0, 3.0], [11, 12, 13]) == [1.5, 3.1, 3.1]


def test_a_key_without_effect_has_no_moment_and_none_of_a_frame_before_it() -> None:
    assert key_moments([(0.5, 11), (2.0, 11)], [1.0, 1.5], [11, 12]) == [2.0, None]


def test_a_slow_line_takes_its_delay_and_its_rate() -> None:
    line = Line(rate=1000, delay=0.25, room=4096)
    line.put(b"x" * 1000, 10.0)
    assert line.take(10.5) == b""
    assert len(line.take(10.0 + 0.512 + 0.25 + 0.001)) == 512
    assert line.next_arrival() == pytest.approx(11.25)
    assert len(line.take(11.26)) == 488
    assert line.next_arrival() is None


def test_what_a_slow_line_cannot_take_waits_until_there_is_no_room() -> None:
    line = Line(rate=1000, delay=0.25, room=1500)
    line.put(b"x" * 1000, 0.0)
    assert line.room(0.0) == 500
    line.put(b"x" * 500, 0.0)
    assert line.room(0.0) == 0
    assert line.room(1.0) == 1000
    line.put(b"y", 5.0)
    assert line.next_arrival() == pytest.approx(0.512 + 0.25)
    assert line.take(5.2) == b"x" * 1500
    assert line.take(5.3) == b"y"


def test_memory_that_only_warms_up_has_not_grown() -> None:
    assert soak.grown([50, 90, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100]) == pytest.approx(0.0)
    assert soak.grown([100, 100, 100, 100, 100, 103, 104, 106, 108, 110, 111, 112]) > soak.GROWTH
    with pytest.raises(ValueError, match="too few"):
        soak.grown([100, 101])


def test_the_made_up_rows_stand_where_the_harness_believes_whatever_changes() -> None:
    made = rows.rules(4000)
    expected = [row.id for row in rows.order(made)]
    assert len(expected) == 200
    traffic = rows.Traffic(made)
    shown: dict[str, Row] = {row.id: row for row in made}
    changed = 0
    for _ in range(30):
        batch = traffic.batch(100, 70, 2, expected[50])
        changed += sum(shown[row.key] != row for row in batch)
        shown.update((row.key, row) for row in batch)
    assert changed == 3000
    model: TableModel[Row] = TableModel(rules_view.VIEW)
    model.apply(Changes(shown, frozenset(), frozenset()), rows.NOW)
    assert model.keys(0, 200) == expected


def test_the_kept_result_holds_every_value_and_no_name_of_a_machine(tmp_path: Path) -> None:
    verdicts = [
        judge(Figure("listing", (9.0, 9.5), {"curl": (10.0,)}, "a note")),
        judge(Figure("slow-line-pgdn", (1.0,), {"two round trips": (600.0,)})),
    ]
    report.keep(verdicts, tmp_path / "results.json", 2, (0.5, 0.4, 0.3))
    text = (tmp_path / "results.json").read_text()
    figures = json.loads(text)["figures"]
    assert figures["listing"]["values"] == [9.0, 9.5]
    assert (figures["listing"]["ratio"], figures["listing"]["limit"], figures["listing"]["kept"]) == (0.925, 12.0, True)
    assert figures["slow-line-pgdn"]["kept"] is None
    assert platform.node() not in text
    assert str(Path.cwd()) not in text
