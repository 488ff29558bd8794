"""The source of replication rules: one stream for each state, the urgent ones first, and increments."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

from ..domain import states
from ..domain.construct import quick
from ..domain.rule import Rule
from ..services.feeds import Cancel
from .rucio import Connection, batches, counts, moment, number, optional_words, rucio_date, sentences, text, words

FIRST, BATCH = 1, 250
"""Rows of the first and of the later batches of a listing."""
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
        began = datetime.now(UTC)
        for kind in states.RULE.values():
            if kind.word != "OK":
                yield from self._listing(cancel, state=kind.letter)
        yield from self._ok(cancel)
        # A rule that changed its state between two of the streams is in neither. How far the server's clock is from ours
        # is known by now; before the first answer it was not.
        yield from self._listing(cancel, updated_after=rucio_date(began + self._connection.offset - OVERLAP))

    def since(self, moment: datetime, cancel: Cancel) -> Iterator[Sequence[Rule]]:
        """Rules changed since then; raises Problem."""
        return self._listing(cancel, updated_after=rucio_date(moment))

    def _ok(self, cancel: Cancel) -> Iterator[Sequence[Rule]]:
        left = self._max_ok
        if left == 0:
            self.note = "OK rules are not read (max_ok_rules = 0)"
            return
        with closing(self._listing(cancel, state="O")) as listing:
            for batch in listing:
                if len(batch) > left:
                    self.note = f"only {self._max_ok} of the OK rules (max_ok_rules)"
                    if left:
                        yield batch[:left]
                    return
                left -= len(batch)
                yield batch
        self.note = ""

    def _listing(self, cancel: Cancel, **filters: str) -> Generator[Sequence[Rule], None, None]:
        return batches((rule(each) for each in self._connection.stream("rules/", cancel, **filters)), BATCH, FIRST)


def rule(document: dict[str, Any]) -> Rule:
    """A rule from Rucio's JSON; missing or odd fields are tolerated."""
    try:
        return _rule(document.get)
    except TypeError:
        # A list or an object where a plain value belongs.
        return _rule({name: str(value) if isinstance(value, dict | list) else value for name, value in document.items()}.get)


_new = quick(Rule)


def _rule(get: Callable[[str], Any]) -> Rule:
    name, created, updated = get("name"), get("created_at"), get("updated_at")
    made = moment(created)
    return _new(  # in the order of Rule's fields: by name would take three times as long
        str(get("id")),
        words[get("scope")],
        name if type(name) is str else str(name),
        words[get("did_type")],
        words[get("account")],
        words[get("state")],
        words[get("rse_expression")],
        counts[get("copies")],
        counts[get("locks_ok_cnt")],
        counts[get("locks_replicating_cnt")],
        counts[get("locks_stuck_cnt")],
        sentences[get("error")],
        number(get("bytes")),
        None,  # length: Rucio's listing does not say how many files the DID has
        optional_words[get("activity")],
        number(get("priority")),
        sentences[get("comments")],
        optional_words[get("source_replica_expression")],
        optional_words[get("grouping")],
        bool(get("locked")),
        bool(get("purge_replicas")),
        made,
        made if updated == created else moment(updated),
        moment(get("expires_at")),
        moment(get("stuck_at")),
        text(get("child_rule_id")),
        optional_words[get("subscription_id")],
    )
