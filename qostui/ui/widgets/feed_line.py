"""The feed line: what is shown of how much, how old it is, and when its source fails, why and when it is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ...domain.units import age_text, left_text
from ...services.feeds import FeedStatus
from ..ink import Piece
from .line import Line

OLD = timedelta(minutes=1)
STALE = timedelta(minutes=5)
LETTERS = {
    "sort": "press the letter of a column, again to turn the order; esc leaves it",
    "copy": "press the letter of a column to copy that cell; esc leaves it",
}


@dataclass(frozen=True)
class Showing:
    """What the table shows of its feed at the moment."""

    shown: int = 0
    total: int = 0
    marked: int = 0
    filter: str = ""
    filter_fault: str = ""
    """Why the text in the filter input is not applied."""
    waits_for: str = ""
    """`sort` or `copy` while the next key names a column."""
    rearranging: bool = False
    """The filter or order that was asked for is still being worked out."""


class FeedLine(Line):
    """Filter at the left; marks, count, age and state at the right."""

    DEFAULT_CSS = "FeedLine { background: $surface; }"

    def show_status(self, status: FeedStatus, showing: Showing, now: datetime) -> None:
        """Say how the feed is at the moment `now`."""
        left: list[Piece]
        if showing.waits_for:
            # The next key is asked for: nothing may cut that short.
            self.show([(f" {showing.waits_for}: ", "warning bold"), (LETTERS[showing.waits_for], "warning")], [])
            return
        if showing.filter_fault:
            left = [(f" ✖ {showing.filter_fault}", "error")]
        elif showing.filter:
            left = [(" / ", "primary bold"), (showing.filter, "bold"), ("  esc clears", "muted")]
        else:
            left = [(" / filter", "muted")]
        narrow = self.app.size.width < 60
        right: list[Piece] = []
        if showing.marked:
            right += [(f"✓ {showing.marked} marked", "accent bold"), (" · ", "muted")]
        if not narrow:
            count = f"{showing.shown:,} of {showing.total:,}" if showing.filter else f"{showing.total:,}"
            right += [("… ", "warning") if showing.rearranging else ("", ""), (count, ""), (" · ", "muted")]
        right += _age(status, now)
        right += _state(status)
        self.show(left, [*right, (" ", "")])


class FaultLine(Line):
    """Shown only while the source fails, is paused, or the rows are those of the last run."""

    DEFAULT_CSS = "FaultLine { display: none; background: $surface; }"

    def show_status(self, status: FeedStatus, now: datetime) -> None:
        """One line: cause at the left, next try at the right."""
        fault = status.problem is not None or status.state in ("failed", "paused") or status.from_last_run
        self.display = fault
        if not fault:
            return
        left, ink = self._cause(status)
        right: list[Piece] = []
        if status.next_try is not None:
            wait = left_text(status.next_try, now) if status.next_try > now else "now"
            right = [(f"next try {'in ' + wait if wait != 'now' else wait} ", ink)]
            if self.app.size.width >= 100:
                right.append(("· r tries now, e says all ", "muted"))
        self.show([(left, f"bold {ink}")], right)

    @staticmethod
    def _cause(status: FeedStatus) -> tuple[str, str]:
        kept = "; the rows below are kept" if status.count else ""
        if status.problem is not None:
            step = f": {status.problem.step}" if status.problem.step else ""
            return f" ✖ {status.problem.summary}{step}", "error"
        if status.state == "paused":
            return f" ‖ paused: too many calls hang{kept}", "warning"
        if status.state == "failed":
            return f" ✖ the source fails{kept}", "error"
        return " ▲ rows of the last run, not asked for yet in this one", "warning"


def _age(status: FeedStatus, now: datetime) -> list[Piece]:
    if status.good_at is None:
        return []
    age = now - status.good_at
    style = "error bold" if age >= STALE else "warning" if age >= OLD else ""
    return [(f"{age_text(status.good_at, now) or '0 s'} old", style), (" · ", "muted")]


def _state(status: FeedStatus) -> list[Piece]:
    unconfirmed: list[Piece] = [(f"{status.unconfirmed:,} not confirmed · ", "warning")] if status.unconfirmed else []
    words = {
        "waiting": ("… waiting for the first answer", "muted"),
        "loading": ("… loading", "muted"),
        "live": ("● live", "success"),
        "failed": ("✖ failed", "error bold"),
        "paused": ("‖ paused", "warning bold"),
    }
    return [*unconfirmed, words.get(status.state, (status.state, ""))]
