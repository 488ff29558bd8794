"""Made-up replication rules: the same for every run, so that the harness knows which row stands where.

STUCK rules lead the console's default order (most stuck locks first, then the oldest). No update touches what ranks
them, so `order` stays true while rows elsewhere move.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from qostui.domain.rule import Rule

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
"""All ages are counted in days from here, so that no age on the screen changes while something else is measured."""
SHARES = (("OK", 0.80), ("REPLICATING", 0.14), ("STUCK", 0.05), ("SUSPENDED", 0.005), ("WAITING_APPROVAL", 0.005))
MOST_MOVING = 400
"""Replicating locks of a rule: with more, it would stand among the STUCK ones."""
_SCOPES = ("atlas", "cbm", "cta", "fair", "lofar", "magic", "panda", "ska")
_EXPRESSIONS = ("QOS=SAFE", "QOS=FAST", "QOS=CHEAP-ANALYSIS", "EULAKE-1", "tier=1&disk=1")
_ERROR = "TRANSFER [70] DESTINATION OVERWRITE HTTP 507 : Insufficient Storage"


def rules(count: int) -> list[Rule]:
    """`count` rules in mixed states, in no order; ids are 32 hexadecimal digits as Rucio's are."""
    chance = random.Random(7)  # noqa: S311  # made-up rows
    states = [state for state, share in SHARES for _ in range(round(share * count))]
    states += ["OK"] * (count - len(states))
    chance.shuffle(states)
    return [_rule(number, state, chance) for number, state in enumerate(states[:count])]


def _rule(number: int, state: str, chance: random.Random) -> Rule:
    files = chance.randrange(1, 500)
    copies = chance.randrange(1, 4)
    locks = files * copies
    stuck = chance.randrange(1, locks + 1) if state == "STUCK" else 0
    moving = chance.randrange(1, min(locks, MOST_MOVING) + 1) if state == "REPLICATING" else 0
    return Rule(
        id=f"{chance.getrandbits(128):032x}",
        scope=_SCOPES[number % len(_SCOPES)],
        name=f"raw.{number:06d}",
        did_type="DATASET",
        account=("ops", "prod", "alice", "bob")[number % 4],
        state=state,
        rse_expression=_EXPRESSIONS[number % len(_EXPRESSIONS)],
        copies=copies,
        locks_ok_cnt=0 if state in ("SUSPENDED", "WAITING_APPROVAL") else locks - stuck - moving,
        locks_replicating_cnt=moving,
        locks_stuck_cnt=stuck,
        error=_ERROR if state == "STUCK" else None,
        bytes=files * chance.randrange(10**6, 10**10),
        length=files,
        activity="Data Ingest",
        priority=3,
        grouping="DATASET",
        created_at=NOW - timedelta(days=2 + number % 300, seconds=chance.randrange(40000)),
        updated_at=NOW - timedelta(days=1, seconds=chance.randrange(40000)),
        stuck_at=NOW - timedelta(days=1) if state == "STUCK" else None,
    )


def did(rule: Rule) -> str:
    """The text in the first column of a rule."""
    return f"{rule.scope}:{rule.name}"


def order(rows: Sequence[Rule]) -> list[Rule]:
    """The STUCK rules in the order in which the console shows them, from its first line on."""
    stuck = [row for row in rows if row.state == "STUCK"]
    return sorted(stuck, key=lambda row: (-row.urgency, row.created_at or NOW, row.id))


def progressed(rule: Rule) -> Rule:
    """The rule a moment later: a lock went from replicating to OK, or was found OK; a full one starts over."""
    at = (rule.updated_at or NOW) + timedelta(seconds=1)
    if rule.state == "REPLICATING" and rule.locks_replicating_cnt > 1:
        return replace(rule, locks_ok_cnt=rule.locks_ok_cnt + 1, locks_replicating_cnt=rule.locks_replicating_cnt - 1, updated_at=at)
    if rule.state == "REPLICATING":
        moving = min(rule.locks, MOST_MOVING)
        return replace(rule, locks_ok_cnt=rule.locks - moving, locks_replicating_cnt=moving, updated_at=at)
    if rule.state == "STUCK":
        # What is stuck stays stuck, so that the rule keeps its place; each step shows as another percentage.
        ok = rule.locks_ok_cnt + max(1, rule.locks // 50)
        return replace(rule, locks_ok_cnt=ok if ok < 50 * rule.locks_stuck_cnt else 0, updated_at=at)
    return replace(rule, updated_at=at)


class Traffic:
    """Changes as a busy lake makes them: rows in progress move through the table, some of those in sight change too."""

    def __init__(self, rows: Sequence[Rule]) -> None:
        self._rows = {row.id: row for row in rows}
        self._moving = [row.id for row in rows if row.state == "REPLICATING"]
        self._still = [row.id for row in rows if row.state in ("OK", "STUCK")]
        self._order = [row.id for row in order(rows)]
        self._place = {key: place for place, key in enumerate(self._order)}
        self._chance = random.Random(11)  # noqa: S311  # made-up changes

    def batch(self, size: int, moving: int, in_sight: int, cursor: str | None) -> list[Rule]:
        """`size` changed rows: `moving` of them change their place, `in_sight` stand near the cursor's row."""
        near = self.near(cursor, 38)
        keys = set(self._chance.sample(self._moving, min(moving, len(self._moving))))
        keys |= set(self._chance.sample(near, min(in_sight, len(near))))
        for key in self._chance.sample(self._still, min(size, len(self._still))):
            if len(keys) >= size:
                break
            keys.add(key)
        return self._progress(keys)

    def near(self, cursor: str | None, count: int) -> list[str]:
        """Keys of the `count` rows around the row with the key `cursor`, else of the first ones."""
        place = self._place.get(cursor or "", 0)
        start = max(0, min(place - count // 2, len(self._order) - count))
        return self._order[start : start + count]

    def first(self, count: int) -> list[Rule]:
        """The first `count` rows of the table, changed."""
        return self._progress(self._order[:count])

    def one(self) -> list[Rule]:
        """The fourth row of the table, not under the cursor, with another value in one cell."""
        return self._progress(self._order[3:4])

    def _progress(self, keys: Sequence[str] | set[str]) -> list[Rule]:
        changed = [progressed(self._rows[key]) for key in keys]
        self._rows.update((row.id, row) for row in changed)
        return changed
