"""The view of replication rules: most urgent first, each with why it is not done."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

from ...domain import states
from ...domain.rule import Rule
from ...domain.table import Column, Fact, View
from ...domain.text import SafeText, clean
from ...domain.units import age_text, bar, bytes_text, iso, left_text, minute_text

_BAR_CELLS = 8
_ERROR_PREFIX = "RequestErrMsg."


def why(rule: Rule) -> SafeText:
    """One short sentence: the error Rucio keeps, else what the lock counters say."""
    if rule.error and rule.state != "OK":
        error = _short(rule.error.removeprefix(_ERROR_PREFIX))
        return clean(f"{error} ({_files(rule.locks_stuck_cnt)})" if rule.locks_stuck_cnt > 1 else error)
    if rule.state == "STUCK" or rule.locks_stuck_cnt:
        return clean(f"{_files(rule.locks_stuck_cnt)} stuck" if rule.locks_stuck_cnt else "stuck before any file was placed")
    if rule.state == "REPLICATING":
        return clean(f"{_files(rule.locks_replicating_cnt)} on the way" if rule.locks_replicating_cnt else "being placed")
    if rule.state == "WAITING_APPROVAL":
        return clean(f"waits for approval{f': {bytes_text(rule.bytes)}' if rule.bytes else ''}")
    if rule.state == "SUSPENDED":
        return clean("suspended: nothing is tried until it is resumed")
    if rule.state == "INJECT":
        return clean("approved, waits to be placed")
    return clean(f"until {rule.expires_at:%Y-%m-%d}" if rule.expires_at else "")


_MEANINGS = (
    ("MISMATCH_SCHEME:", "no scheme that source and destination both have"),
    ("NO_SOURCES:RequestState.ONLY_TAPE_SOURCES", "only tape copies to read from"),
    ("NO_SOURCES:", "no source to read from"),
    ("SUBMISSION_FAILED:", "not taken by FTS: "),
    ("TRANSFER_FAILED:", ""),
)
"""Beginning of what Rucio keeps -> what a row says of it; the detail shows Rucio's own words."""


def _short(error: str) -> str:
    for beginning, meaning in _MEANINGS:
        if error.startswith(beginning):
            rest = error[len(beginning) :].strip()
            return meaning if rest.startswith("RequestState.") or beginning.endswith("SOURCES") else meaning + rest
    return error


def _files(count: int) -> str:
    return f"{count} file{'' if count == 1 else 's'}"


def _state(rule: Rule) -> states.StateKind:
    return states.kind(states.RULE, rule.state)


@lru_cache(maxsize=64)
def _state_text(state: str) -> SafeText:
    return clean(states.kind(states.RULE, state).text)


def _did(rule: Rule) -> SafeText:
    return clean(f"{rule.scope}:{rule.name}")


def _percent(rule: Rule) -> str:
    if rule.fraction is None:
        return ""
    percent = int(rule.fraction * 100)
    return f"{min(percent, 99) if rule.fraction < 1 else 100} %"


def _detail(rule: Rule, now: datetime) -> list[Fact]:
    kind = _state(rule)
    share = f"{rule.locks} locks: {rule.locks_ok_cnt} ok, {rule.locks_replicating_cnt} replicating, {rule.locks_stuck_cnt} stuck"
    facts = [
        Fact(_did(rule)),
        Fact("rule", clean(rule.id)),
        Fact("state", clean(kind.text), kind.style),
        Fact("why", why(rule)),
        Fact("locks", clean(share)),
        Fact("copies", clean(f"{rule.complete_copies} of {rule.copies} complete, {_percent(rule) or 'nothing placed yet'}")),
        Fact("placement"),
        Fact("RSE expression", clean(rule.rse_expression)),
        Fact("size", clean(f"{bytes_text(rule.bytes) or 'unknown'}, once; {rule.did_type.lower()}")),
        Fact("activity", clean(f"{rule.activity or 'none'}, priority {rule.priority if rule.priority is not None else 'unknown'}")),
        Fact("account", clean(rule.account)),
    ]
    optional = (
        ("source expression", rule.source_replica_expression),
        ("grouping", rule.grouping),
        ("comment", rule.comments),
        ("error", rule.error),
        ("moved to rule", rule.child_rule_id),
        ("subscription", rule.subscription_id),
    )
    facts.extend(Fact(label, clean(value)) for label, value in optional if value)
    if rule.locked:
        facts.append(Fact("locked", clean("cannot be deleted"), "state-replicating"))
    if rule.purge_replicas:
        facts.append(Fact("purge replicas", clean("replicas go at once when the rule goes"), "state-replicating"))
    facts.append(Fact("times"))
    for label, moment in (("created", rule.created_at), ("updated", rule.updated_at), ("stuck since", rule.stuck_at)):
        if moment is not None:
            facts.append(Fact(label, clean(f"{minute_text(moment)}   {age_text(moment, now)} ago")))
    left = f"{minute_text(rule.expires_at)}   {left_text(rule.expires_at, now)}" if rule.expires_at else "never"
    facts.append(Fact("expires", clean(left)))
    return facts


def _record(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "scope": rule.scope,
        "name": rule.name,
        "did_type": rule.did_type,
        "account": rule.account,
        "state": rule.state,
        "error": rule.error,
        "rse_expression": rule.rse_expression,
        "copies": rule.copies,
        "locks_ok_cnt": rule.locks_ok_cnt,
        "locks_replicating_cnt": rule.locks_replicating_cnt,
        "locks_stuck_cnt": rule.locks_stuck_cnt,
        "bytes": rule.bytes,
        "activity": rule.activity,
        "priority": rule.priority,
        "comments": rule.comments,
        "source_replica_expression": rule.source_replica_expression,
        "grouping": rule.grouping,
        "locked": rule.locked,
        "purge_replicas": rule.purge_replicas,
        "child_rule_id": rule.child_rule_id,
        "subscription_id": rule.subscription_id,
        "created_at": iso(rule.created_at),
        "updated_at": iso(rule.updated_at),
        "expires_at": iso(rule.expires_at),
        "stuck_at": iso(rule.stuck_at),
    }


def _progress(rule: Rule, now: datetime) -> SafeText:
    return SafeText(f"{bar(rule.fraction, _BAR_CELLS)} {_percent(rule):>5}" if rule.fraction is not None else "░" * _BAR_CELLS)


VIEW: View[Rule] = View(
    id="rules",
    title="Rules",
    columns=(
        Column("did", "DID", lambda r, now: _did(r), lambda r: (r.scope, r.name), 24, letter="d"),
        Column(
            "state", "STATE", lambda r, now: _state_text(r.state), lambda r: r.urgency, 14, style=lambda r, now: _state(r).style, letter="s"
        ),
        Column(
            "copies",
            "COPIES",
            lambda r, now: clean(f"{r.complete_copies} of {r.copies}"),
            lambda r: r.complete_copies - r.copies,
            7,
            letter="c",
            priority=2,
        ),
        Column("expression", "EXPRESSION", lambda r, now: clean(r.rse_expression), lambda r: r.rse_expression, 16, letter="e", priority=2),
        Column("progress", "PROGRESS", _progress, lambda r: r.fraction, _BAR_CELLS + 6, style=lambda r, now: _state(r).style, letter="p"),
        Column("size", "SIZE", lambda r, now: clean(bytes_text(r.bytes)), lambda r: r.bytes, 7, "right", letter="z", priority=2),
        Column("age", "AGE", lambda r, now: clean(age_text(r.created_at, now)), lambda r: r.created_at, 5, "right", letter="a"),
        Column("account", "ACCOUNT", lambda r, now: clean(r.account), lambda r: r.account, 10, letter="o", priority=3),
        Column("why", "WHY", lambda r, now: why(r), why, letter="w"),
    ),
    order=(("state", True), ("age", False)),
    detail=_detail,
    record=_record,
    aliases=("rule",),
)
