"""Panes, tabs, detail and what a failing source looks like."""

from __future__ import annotations

from datetime import timedelta

import pytest

from qostui.domain.errors import CertificateProblem, ConnectionProblem

from . import fakes
from .conftest import Console, Opened


def failing(seen: Console, view_id: str = "rules") -> None:
    problem = ConnectionProblem(
        "localhost:21443 does not answer", step="is the lake up?", detail="[Errno 111] Connection refused\nsecond line"
    )
    seen.session.feed(view_id).fail(problem, fakes.NOW + timedelta(seconds=8))


async def test_tabs_show_counts_and_number_keys_and_tab_move_between_them(console: Opened) -> None:
    async with console() as seen:
        for title in ("1 RSEs 8", "2 Rules 38", "3 Transfers 19", "4 Credentials 4"):
            assert title in seen.screen
        for key, view_id in (
            ("2", "rules"),
            ("4", "credentials"),
            ("tab", "rses"),
            ("shift+tab", "credentials"),
            ("1", "rses"),
            ("-", "credentials"),
        ):
            await seen.press(key)
            assert seen.pane.view_id == view_id, key
            assert seen.session.watched == {view_id}
            assert seen.table.has_focus


async def test_hidden_panes_are_not_drained(console: Opened) -> None:
    async with console(pane="2") as seen:
        hidden = seen.session.feed("requests")
        before = hidden.drained
        hidden.put(fakes.some_requests()[0])
        await seen.pilot.pause(0.5)
        assert hidden.drained == before
        await seen.press("3")
        assert hidden.drained > before


async def test_a_failing_source_keeps_its_rows_and_says_cause_age_and_next_try(console: Opened) -> None:
    async with console(pane="2") as seen:
        failing(seen)
        seen.clock.moment += timedelta(seconds=2)
        await seen.settle()
        assert len(seen.keys) == 38
        assert "fair:raw.run0042" in seen.screen
        assert "✖ localhost:21443 does not answer" in seen.screen
        assert "next try in 6 s" in seen.screen
        assert "4 s old" in seen.screen
        assert "38 not confirmed" in seen.screen
        assert "✖ failed" in seen.screen
        assert seen.table.model.unconfirmed == frozenset(seen.session.feed("rules").rows)
        await seen.press("r")
        assert seen.session.feed("rules").refreshed == 1


async def test_one_dead_source_does_not_touch_the_others(console: Opened) -> None:
    async with console(pane="2") as seen:
        failing(seen)
        await seen.settle()
        await seen.press("1")
        assert "does not answer" not in seen.screen
        assert "● live" in seen.screen
        assert "2 Rules 38 ✖" in seen.screen, "its tab says so"


async def test_e_shows_all_of_an_error(console: Opened) -> None:
    async with console(pane="2") as seen:
        failing(seen)
        await seen.settle()
        await seen.press("e")
        assert "Connection refused" in seen.screen
        assert "second line" in seen.screen
        assert "is the lake up?" in seen.screen
        await seen.press("escape")
        assert "second line" not in seen.screen


async def test_a_certificate_problem_is_not_shown_as_no_connection(console: Opened) -> None:
    empty = fakes.FakeFeed(good_at=None)
    empty.fail(CertificateProblem("the certificate of localhost:21443 is not signed by the CA given", step="check ca"), fakes.NOW)
    async with console(pane="2", feeds={**fakes.feeds(), "rules": empty}) as seen:
        assert "is not signed by the CA given" in seen.screen
        assert "connect" not in seen.screen


async def test_an_empty_and_a_waiting_pane_say_what_they_are(console: Opened) -> None:
    waiting = fakes.FakeFeed(good_at=None)
    waiting.set("waiting")
    async with console(pane="2", feeds={**fakes.feeds(), "rules": waiting, "requests": fakes.FakeFeed()}) as seen:
        assert "waiting for the first rows" in seen.screen
        await seen.press("3")
        assert "there are no requests" in seen.screen


async def test_rows_of_the_last_run_are_called_so(console: Opened) -> None:
    old = fakes.FakeFeed(fakes.some_rules(), good_at=fakes.NOW - timedelta(hours=9))
    old.set("loading", from_last_run=True)
    async with console(pane="2", feeds={**fakes.feeds(), "rules": old}) as seen:
        assert "rows of the last run" in seen.screen
        assert "9 h old" in seen.screen


@pytest.mark.parametrize(("size", "table_seen"), [((120, 40), True), ((200, 60), True), ((80, 24), False)])
async def test_enter_opens_the_detail_and_esc_closes_it(console: Opened, size: tuple[int, int], table_seen: bool) -> None:
    async with console(pane="2", size=size) as seen:
        await seen.press("enter")
        await seen.settle()
        assert "QOS=SAFE" in seen.pane.detail.plain
        assert "Insufficient Storage" in seen.screen
        assert ("ska:sdc1" in seen.screen) is table_seen
        await seen.press("escape")
        assert not seen.pane.detail_open
        assert seen.table.has_focus
        assert "ska:sdc1" in seen.screen


async def test_the_detail_follows_the_cursor_and_the_row(console: Opened) -> None:
    async with console(pane="2") as seen:
        await seen.press("d", "down")
        await seen.settle()
        assert "ska:sdc1" in seen.pane.detail.plain
        seen.session.feed("rules").put(
            fakes.a_rule("ska:sdc1", "STUCK", copies=1, locks_stuck_cnt=4, error="another reason", created_at=fakes.NOW)
        )
        await seen.settle()
        seen.table.select("ska:sdc1")
        await seen.settle()
        assert "another reason" in seen.pane.detail.plain


async def test_transfers_sum_up_states_and_links(console: Opened) -> None:
    async with console(pane="3") as seen:
        summary = seen.screen.splitlines()[3]
        assert "✖ FAILED 1" in summary
        assert "○ QUEUED 12" in summary
        assert "2 links: 52 queued" in summary
        assert "18 failed" in summary


async def test_credentials_say_what_ends_first_and_count_down(console: Opened) -> None:
    async with console(pane="4") as seen:
        assert "✖ 1 expired: Access token" in seen.screen
        assert "▲ VOMS AC ends first, in 52 m" in seen.screen, "the session renews itself"
        seen.clock.moment += timedelta(minutes=2)
        seen.pane._ticked = 0.0
        await seen.settle()
        assert "in 50 m" in seen.screen


async def test_the_header_says_where_as_whom_and_what_ends(console: Opened) -> None:
    async with console() as seen:
        header = seen.screen.splitlines()[0]
        for part in ("qostui", "lake-ops", "ops at localhost:21443", "proxy", "▲ VOMS AC 52 m left", "read-write", "12:04:31Z"):
            assert part in header
        await seen.pilot.resize_terminal(80, 24)
        await seen.settle()
        header = seen.screen.splitlines()[0]
        for part in ("lake-ops", "ops at localhost", "▲ VOMS AC 52 m left", "read-write", "12:04:31Z"):
            assert part in header


async def test_the_header_says_why_the_log_in_does_not_work(console: Opened) -> None:
    async with console() as seen:
        seen.session.problem = CertificateProblem("the proxy has expired")
        await seen.settle()
        assert "✖ the proxy has expired" in seen.screen.splitlines()[0]


@pytest.mark.parametrize("size", [(40, 10), (20, 5), (10, 3), (1, 1)])
async def test_a_tiny_terminal_does_not_crash(console: Opened, size: tuple[int, int]) -> None:
    async with console(size=size) as seen:
        for key in (
            "2",
            "down",
            "enter",
            "escape",
            "3",
            "4",
            "s",
            "escape",
            "/",
            "a",
            "escape",
            ":",
            "escape",
            "?",
            "escape",
            "ctrl+t",
            "escape",
            "G",
        ):
            await seen.press(key)
        await seen.pilot.resize_terminal(120, 40)
        await seen.settle()
        assert "Credentials" in seen.screen


async def test_resizing_while_all_is_open_does_not_crash(console: Opened) -> None:
    async with console(pane="2") as seen:
        await seen.press("enter")
        for size in ((40, 10), (200, 60), (80, 24), (1, 1), (120, 40)):
            await seen.pilot.resize_terminal(*size)
            await seen.settle()
        assert "fair:raw.run0042" in seen.screen
