"""The source of replication rules: one stream for each state, the urgent ones first, and increments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from sys import intern
from typing import Any

from ..domain import states
from ..domain.rule import Rule
from ..services.feeds import Cancel
from .rucio import Connection, batches, moment, number, rucio_date, text

BATCH = 250
OVERLAP = timedelta(seconds=5)


class RuleSource:
    """Rules in all states; of those that are OK only the first `max_ok` that the server names."""

    def __init__(self, connection: Connection, max_ok: int) -> None:
        self._connection = connection
        self._max_ok = max_ok
        self.note = ""
        """Says so when OK rules were left out."""

    def full(self, cancel: Cancel) -> Iterator[Sequence[Rule]]:
        """All rules not OK, then OK ones up to the limit, then what changed meanwhile; raises Problem."""
        began = datetime.now(UTC) + self._connection.offset
        for kind in states.RULE.values():
            if kind.word != "OK":
                yield from self._listing(cancel, state=kind.letter)
        yield from self._ok(cancel)
        # A rule that changed its state between two of the streams is in neither.
        yield from self._listing(cancel, updated_after=rucio_date(began - OVERLAP))

    def since(self, moment: datetime, cancel: Cancel) -> Iterator[Sequence[Rule]]:
        """Rules changed since then; raises Problem."""
        return self._listing(cancel, updated_after=rucio_date(moment))

    def _ok(self, cancel: Cancel) -> Iterator[Sequence[Rule]]:
        left = self._max_ok
        if left == 0:
            self.note = "OK rules are not read (max_ok_rules = 0)"
            return
        for batch in self._listing(cancel, state="O"):
            if len(batch) > left:
                self.note = f"only {self._max_ok} of the OK rules (max_ok_rules)"
                yield batch[:left]
                return
            left -= len(batch)
            yield batch
        self.note = ""

    def _listing(self, cancel: Cancel, **filters: str) -> Iterator[Sequence[Rule]]:
        return batches((rule(each) for each in self._connection.stream("rules/", cancel, **filters)), BATCH)


def rule(document: dict[str, Any]) -> Rule:
    """A rule from Rucio's JSON; missing or odd fields are tolerated."""
    get = document.get
    return Rule(
        id=str(get("id")),
        scope=intern(str(get("scope"))),
        name=str(get("name")),
        did_type=intern(str(get("did_type") or "")),
        account=intern(str(get("account"))),
        state=intern(str(get("state"))),
        rse_expression=intern(str(get("rse_expression") or "")),
        copies=number(get("copies")) or 0,
        locks_ok_cnt=number(get("locks_ok_cnt")) or 0,
        locks_replicating_cnt=number(get("locks_replicating_cnt")) or 0,
        locks_stuck_cnt=number(get("locks_stuck_cnt")) or 0,
        error=text(get("error")),
        bytes=number(get("bytes")),
        activity=text(get("activity")),
        priority=number(get("priority")),
        comments=text(get("comments")),
        source_replica_expression=text(get("source_replica_expression")),
        grouping=text(get("grouping")),
        locked=bool(get("locked")),
        purge_replicas=bool(get("purge_replicas")),
        created_at=moment(get("created_at")),
        updated_at=moment(get("updated_at")),
        expires_at=moment(get("expires_at")),
        stuck_at=moment(get("stuck_at")),
        child_rule_id=text(get("child_rule_id")),
        subscription_id=text(get("subscription_id")),
    )
