"""The Credentials pane: what there is, who has accepted it, when it ends, and that this is said before it bites."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from qostui.domain.errors import ConnectionProblem
from qostui.services.feeds import Cancel, Cancelled
from qostui.ui.screens.report import Report

from . import fakes
from .conftest import Console, Opened


async def test_it_shows_what_ends_first_and_who_took_what(console: Opened) -> None:
    async with console(pane="4", size=(160, 40)) as seen:
        for text in ("whoami ✔", "38 m renews", "5 doors ✔", "52 m ▲ ends first", "/escape/Role=operator", "✖ expired", "PROVEN BY"):
            assert text in seen.screen, text
    async with console(pane="4", size=(80, 24)) as seen:
        for text in ("TIME LEFT", "52 m ▲ ends first", "whoami ✔", "a actions"):
            assert text in seen.screen, text


async def test_time_left_counts_down_on_the_wall_clock_with_its_colour(console: Opened) -> None:
    async with console(pane="4") as seen:
        proxy = seen.table.model.rows["2"]
        look = seen.table._painter.looks
        place = seen.table.columns_shown.index("left")
        assert look("2", proxy)[place][1] == ""
        seen.clock.moment += timedelta(hours=8, minutes=30)
        await seen.settle()
        text, style = look("2", proxy)[place]
        assert text.endswith("42 m ▲")
        assert style == "state-replicating"
        assert text.strip() in seen.screen


async def test_the_detail_says_what_each_door_said(console: Opened) -> None:
    async with console(pane="4", size=(120, 50)) as seen:
        await seen.press("down", "down", "down", "enter")
        detail = seen.pane.detail.plain
        for text in ("GSI-ROOT davs", "✔ accepted   2 m ago", "the door wants https://gsi-root:2094", "storage.modify:/", "press a to"):
            assert text in detail, text


def ending(seen: Console, key: str, left: timedelta) -> None:
    """The clock goes on until this credential has so much left."""
    expires = seen.session.feeds["credentials"].rows[key].expires
    seen.clock.moment = expires - left


async def test_it_is_announced_before_it_bites_whatever_pane_is_open(console: Opened) -> None:
    async with console(pane="2") as seen:
        assert "press a in Credentials to renew" not in seen.screen
        ending(seen, "2.1", timedelta(minutes=9, seconds=30))
        await seen.settle()
        assert seen.pane.view_id == "rules"
        await seen.until("▲ VOMS AC ends in 9 m: press a in Credentials to renew")
        seen.app.clear_notifications()
        await seen.settle()
        await seen.settle()
        assert "press a in Credentials" not in seen.screen, "once"
        ending(seen, "2", timedelta(minutes=59))
        await seen.until("X.509 proxy ends in 59 m")
        assert "Rucio session" not in seen.screen, "it renews itself"


async def test_a_renewed_credential_is_announced_again(console: Opened) -> None:
    async with console(pane="2") as seen:
        feed = seen.session.feeds["credentials"]
        ending(seen, "2", timedelta(minutes=5))
        await seen.until("X.509 proxy ends in 5 m")
        feed.put(replace(feed.rows["2"], expires=seen.clock.moment + timedelta(hours=12), not_before=seen.clock.moment))
        seen.app.clear_notifications()
        await seen.settle()
        ending(seen, "2", timedelta(minutes=50))
        await seen.until("X.509 proxy ends in 50 m")


async def test_what_works_where_fills_while_doors_answer_and_is_cancelled_on_leaving(console: Opened) -> None:
    async with console(pane="4") as seen:
        go_on, cancelled = threading.Event(), threading.Event()

        def doors(cancel: Cancel) -> Iterator[Sequence[fakes.Answer]]:
            cancel.closes(go_on.set)
            yield [fakes.Answer("GSI-ROOT roots", "audience is any"), fakes.Answer("GSI-ROOT davs", "not tried")]
            assert go_on.wait(30)
            if not cancel.wanted:
                cancelled.set()
                raise Cancelled
            yield [fakes.Answer("GSI-ROOT davs", "taken")]

        seen.session.reports["where"] = doors
        await seen.press("m")
        await seen.until("audience is any")
        assert "What works where" in seen.screen
        assert "… asking" in seen.screen
        assert "2 rows" in seen.screen
        go_on.set()
        await seen.until("✔ all asked")
        assert "taken" in seen.screen
        assert "not tried" not in seen.screen
        await seen.press("down", "enter")
        await seen.until("all of it")
        await seen.press("escape", "escape")
        assert len(seen.app.screen_stack) == 1
        go_on.clear()
        await seen.press("m")
        await seen.until("audience is any")
        await seen.press("q")
        assert len(seen.app.screen_stack) == 1
        assert cancelled.wait(20)
        assert seen.app.return_code is None


async def test_reports_can_be_asked_for_from_anywhere_and_again(console: Opened) -> None:
    async with console(pane="2") as seen:
        rounds: list[int] = []

        def found(cancel: Cancel) -> Iterator[Sequence[fakes.Answer]]:
            rounds.append(1)
            yield [fakes.Answer(f"round {len(rounds)}", "CRL is 3 days old")]
            raise ConnectionProblem("the provider does not answer", step="is it up?")

        seen.session.reports["doctor"] = found
        await seen.press(":", *"doctor", "enter")
        await seen.until("✖ the provider does not answer   is it up?")
        assert isinstance(seen.app.screen, Report)
        assert "round 1" in seen.screen
        await seen.press("r")
        await seen.until("round 2")
        assert "round 1" not in seen.screen
        seen.session.reports["where"] = lambda cancel: iter(())
        await seen.press("escape", ":", *"where", "enter")
        await seen.until("There is nothing to tell.")


async def test_the_help_of_the_pane_names_its_keys(console: Opened) -> None:
    async with console(pane="4", size=(120, 50)) as seen:
        await seen.press("?")
        for text in ("In the Credentials pane", "what works where", "doctor"):
            assert text in seen.screen


async def test_a_tiny_terminal_bears_all_screens(console: Opened) -> None:
    async with console(pane="4", size=(20, 6)) as seen:
        seen.session.reports["where"] = lambda cancel: iter([[fakes.Answer("a", "b")]])
        for keys in (("m", "enter", "escape", "escape"), ("a", "escape"), ("down", "a", "p", "escape"), ("down", "a", "escape")):
            await seen.press(*keys)
            await seen.settle()
        await seen.press("escape", "escape")
        await seen.pilot.resize_terminal(120, 40)
        await seen.settle()
        assert "Credentials" in seen.screen
