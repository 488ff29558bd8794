"""Errands: what was asked for on the screen is done in a lane, and who asked is told the end once, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, current_thread, main_thread
from typing import Any

import pytest

from qostui.domain.errors import CredentialProblem, Problem
from qostui.services.errands import begin
from qostui.services.feeds import Cancel
from qostui.services.lanes import Lanes


class Heard:
    """Hears the end of an errand."""

    def __init__(self) -> None:
        self.ended = Event()
        self.answers: list[tuple[Any, Problem | None]] = []

    def __call__(self, found: Any, problem: Problem | None) -> None:
        self.answers.append((found, problem))
        self.ended.set()


def test_it_is_done_in_another_thread_and_told() -> None:
    heard = Heard()
    begin(Lanes(), "look", lambda cancel: current_thread() is main_thread(), heard, 5)
    assert heard.ended.wait(10)
    assert heard.answers == [(False, None)]


def fails_as_known(cancel: Cancel) -> str:
    raise CredentialProblem("wrong pass phrase", step="try again")


def fails_unexpectedly(cancel: Cancel) -> str:
    raise ValueError("s3cret")


@pytest.mark.parametrize(
    ("work", "says"),
    [(fails_as_known, "wrong pass phrase"), (fails_unexpectedly, "look failed by an error of the console's own (ValueError)")],
)
def test_a_failure_is_told_and_what_nobody_expected_without_its_words(work: Callable[[Cancel], str], says: str) -> None:
    heard = Heard()
    begin(Lanes(), "look", work, heard, 5)
    assert heard.ended.wait(10)
    ((found, problem),) = heard.answers
    assert found is None
    assert problem is not None
    assert problem.summary == says
    assert "s3cret" not in f"{problem!r} {problem.detail} {problem.step}"


def test_one_that_is_called_off_is_cancelled_and_tells_nobody() -> None:
    heard, begun, closed, over = Heard(), Event(), Event(), Event()

    def waits(cancel: Cancel) -> str:
        cancel.closes(closed.set)
        begun.set()
        assert closed.wait(10)
        over.set()
        return "too late"

    errand = begin(Lanes(), "wait", waits, heard, 30)
    assert begun.wait(10)
    errand.call_off()
    assert errand.called_off
    assert over.wait(10)
    again = Heard()
    lanes = Lanes()
    begin(lanes, "next", lambda cancel: "done", again, 5)
    assert again.ended.wait(10)
    assert heard.answers == []


def test_one_that_takes_too_long_says_so() -> None:
    heard, closed = Heard(), Event()

    def waits(cancel: Cancel) -> None:
        cancel.closes(closed.set)
        closed.wait(30)

    begin(Lanes(), "wait", waits, heard, 0.05)
    assert heard.ended.wait(10)
    assert heard.answers[0][1] is not None
    assert "no end after" in heard.answers[0][1].summary


def test_nothing_is_begun_or_told_once_the_profile_is_left() -> None:
    lanes, heard, ran = Lanes(), Heard(), Event()
    lanes.close()
    begin(lanes, "look", lambda cancel: ran.set(), heard, 5)
    assert not heard.ended.wait(0.2)
    assert not ran.is_set()
