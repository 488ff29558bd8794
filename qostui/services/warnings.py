"""Warnings before a credential ends: which thresholds were crossed since the last look, each told once.

Looks may be far apart (a laptop sleeps) and clocks may jump, so what counts is the time left at each look, not the time
between two: of several thresholds that were crossed only the most urgent is told, and a credential that ends at another
moment than before is a renewed one, which may warn again.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from ..domain.credential import Credential
from ..domain.text import SafeText, clean
from ..domain.units import left_text

THRESHOLDS = (timedelta(minutes=10), timedelta(hours=1), timedelta(hours=24))
"""The most urgent first."""
LAST = THRESHOLDS[0]
"""What is within this when it is first seen is told at once; for more there is the header."""
BACK = timedelta(minutes=5)
"""A clock that was put back by more than this makes a threshold be told again; less is a clock that is being trimmed."""
RENEWING = frozenset({"proxy", "voms", "log-in", "refresh", "import"})
"""Actions that replace a credential by one that lasts longer."""


class Ending(NamedTuple):
    """A credential that has no more time left than a threshold."""

    credential: Credential
    threshold: timedelta


class _Told(NamedTuple):
    """What was told of one credential, as it was then."""

    expires: datetime
    threshold: timedelta | None
    """The most urgent one that was crossed; None while none is."""


class Watch:
    """Remembers of each credential what was told, from one look to the next."""

    def __init__(self) -> None:
        self._told: dict[str, _Told] = {}

    def look(self, rows: Iterable[Credential], now: datetime) -> list[Ending]:
        """What is to be told now; the most urgent first. Credentials that renew themselves are left out."""
        seen: dict[str, _Told] = {}
        found: list[Ending] = []
        for row in rows:
            if row.expires is None or row.renews:
                continue
            crossed = _crossed(row, row.expires - now)
            told = self._told.get(row.id)
            if told is None:
                # Seen for the first time: that it ended before is no news of ours.
                due = crossed == LAST and row.expires > now
            elif told.expires != row.expires:
                due = crossed is not None and row.lifetime is not None
            else:
                before = _still_told(told, now)
                due = crossed is not None and (before is None or crossed < before)
                if before is not None and (crossed is None or before < crossed):
                    crossed = before
            if due and crossed is not None:
                found.append(Ending(row, crossed))
            seen[row.id] = _Told(row.expires, crossed)
        self._told = seen
        return sorted(found, key=lambda each: (each.threshold, each.credential.id))


def _crossed(row: Credential, left: timedelta) -> timedelta | None:
    """The most urgent threshold that the time left is within; one longer than the whole life was never crossed."""
    lifetime = row.lifetime
    return next((each for each in THRESHOLDS if left <= each and (lifetime is None or each < lifetime)), None)


def _still_told(told: _Told, now: datetime) -> timedelta | None:
    """What was told, unless the clock was put back to long before it."""
    if told.threshold is None or told.expires - now > told.threshold + BACK:
        return None
    return told.threshold


def sentences(warnings: Iterable[Ending], now: datetime) -> list[tuple[SafeText, str]]:
    """What to say, with its severity (`warning`, `error` from the last threshold on); those that end together in one."""
    together: dict[tuple[timedelta, str], list[Credential]] = {}
    for each in warnings:
        left = left_text(each.credential.expires, now)
        together.setdefault((each.threshold, left), []).append(each.credential)
    return [(_sentence(rows, left), "error" if threshold == LAST else "warning") for (threshold, left), rows in together.items()]


def _sentence(rows: list[Credential], left: str) -> SafeText:
    names = " and ".join(dict.fromkeys(row.kind for row in rows))
    several = len({row.kind for row in rows}) > 1
    has = left if left.startswith("expired") else f"{'end' if several else 'ends'} in {left}"
    can = any(RENEWING.intersection(row.actions) for row in rows)
    step = "press a in Credentials to renew" if can else f"get a new one where it came from ({rows[0].source}), the console cannot"
    return clean(f"▲ {names} {has}: {step}")
