"""The view of transfers: Rucio's requests with what FTS says of them, and the totals of each busy link."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ...domain import states
from ...domain.request import Request
from ...domain.table import Column, Fact, View
from ...domain.text import SafeText, clean
from ...domain.units import age_text, bytes_text, iso, minute_text

_LINK = states.StateKind("", "LINK", "LINK", "⇄", "muted")
_LINK_FAILING = states.StateKind("", "LINK", "LINK", "⇄", "state-stuck")


def _state(request: Request) -> states.StateKind:
    if request.is_link:
        return _LINK_FAILING if request.totals is not None and request.totals.failed_1h else _LINK
    return states.kind(states.REQUEST, request.state)


def _fts_state(request: Request) -> str:
    return (request.fts.file_state or request.fts.job_state) if request.fts is not None else ""


def _fts_text(request: Request) -> SafeText:
    state = _fts_state(request)
    if state:
        return clean(states.kind(states.FTS, state).text)
    return clean("? no answer" if request.fts_problem else "")


def _fts_style(request: Request, now: datetime) -> str:
    state = _fts_state(request)
    return states.kind(states.FTS, state).style if state else "muted"


def why(request: Request) -> SafeText:
    """The totals of a link, or the most telling text there is: FTS's reason, Rucio's message, why FTS was not asked."""
    if request.totals is not None and request.is_link:
        totals = request.totals
        ended = f"{totals.done_1h} done, {totals.failed_1h} failed in 1 h · {totals.done_6h} done, {totals.failed_6h} failed in 6 h"
        return clean(f"{totals.queued} queued · {ended}")
    if request.fts is not None and request.fts.reason:
        return clean(request.fts.reason)
    if request.err_msg:
        return clean(request.err_msg.removeprefix("RequestErrMsg."))
    if request.fts_problem:
        return clean(request.fts_problem)
    return clean(f"attempt {request.retry_count + 1}" if request.retry_count else "")


def _what(request: Request) -> SafeText:
    return clean("all transfers of this link" if request.is_link else f"{request.scope}:{request.name}")


def _link(request: Request) -> SafeText:
    return clean(f"{request.source_rse or '?'} → {request.dest_rse}")


def _bytes(request: Request) -> int | None:
    return request.totals.queued_bytes if request.is_link and request.totals is not None else request.bytes


def _detail(request: Request, now: datetime) -> list[Fact]:
    kind = _state(request)
    facts = [Fact(_what(request)), Fact("link", _link(request)), Fact("state", clean(kind.text), kind.style), Fact("why", why(request))]
    if not request.is_link:
        facts += [
            Fact("request", clean(request.id)),
            Fact("type", clean(states.REQUEST_TYPE.get(request.request_type, request.request_type))),
            Fact("size", clean(bytes_text(request.bytes))),
            Fact("rule", clean(request.rule_id)),
            Fact(
                "activity",
                clean(f"{request.activity or 'none'}, priority {request.priority if request.priority is not None else 'unknown'}"),
            ),
            Fact("account", clean(request.account)),
            Fact("retries", clean(request.retry_count)),
            Fact("destination", clean(request.dest_url)),
        ]
        moments = (
            ("requested", request.since),
            ("submitted", request.submitted_at),
            ("started", request.started_at),
            ("updated", request.updated_at),
        )
        facts.append(Fact("times"))
        facts.extend(Fact(label, clean(f"{minute_text(at)}   {age_text(at, now)} ago")) for label, at in moments if at is not None)
        facts.append(Fact("FTS"))
        facts.append(
            Fact("job", clean(f"{request.external_id} at {request.external_host}" if request.external_id else "not submitted yet"))
        )
        if request.fts is not None:
            facts.append(Fact("job state", clean(request.fts.job_state)))
            facts.append(Fact("file state", clean(request.fts.file_state), _fts_style(request, now)))
            facts.append(Fact("reason", clean(request.fts.reason)))
        if request.fts_problem:
            facts.append(Fact("not asked", clean(request.fts_problem), "state-replicating"))
    if request.totals is not None:
        totals = request.totals
        facts += [
            Fact("link totals"),
            Fact("queued", clean(f"{totals.queued} files, {bytes_text(totals.queued_bytes)}")),
            Fact("last hour", clean(f"{totals.done_1h} done ({bytes_text(totals.done_bytes_1h)}), {totals.failed_1h} failed")),
            Fact("last 6 hours", clean(f"{totals.done_6h} done ({bytes_text(totals.done_bytes_6h)}), {totals.failed_6h} failed")),
            Fact("distance", clean("not set" if totals.distance is None else totals.distance)),
        ]
    return facts


def _record(request: Request) -> dict[str, Any]:
    totals, fts = request.totals, request.fts
    metrics = totals and {
        "files": {
            "queued-total": totals.queued,
            "done-total-1h": totals.done_1h,
            "done-total-6h": totals.done_6h,
            "failed-total-1h": totals.failed_1h,
            "failed-total-6h": totals.failed_6h,
        },
        "bytes": {"queued-total": totals.queued_bytes, "done-total-1h": totals.done_bytes_1h, "done-total-6h": totals.done_bytes_6h},
        "distance": totals.distance,
    }
    if request.is_link:
        return {"kind": "link", "src_rse": request.source_rse, "dst_rse": request.dest_rse, "metrics": metrics}
    return {
        "kind": "request",
        "id": request.id,
        "state": request.state,
        "request_type": request.request_type,
        "scope": request.scope,
        "name": request.name,
        "source_rse": request.source_rse,
        "dest_rse": request.dest_rse,
        "bytes": request.bytes,
        "activity": request.activity,
        "account": request.account,
        "priority": request.priority,
        "retry_count": request.retry_count,
        "err_msg": request.err_msg,
        "rule_id": request.rule_id,
        "external_id": request.external_id,
        "external_host": request.external_host,
        "transfertool": request.transfertool,
        "dest_url": request.dest_url,
        "created_at": iso(request.created_at),
        "updated_at": iso(request.updated_at),
        "requested_at": iso(request.requested_at),
        "submitted_at": iso(request.submitted_at),
        "started_at": iso(request.started_at),
        "fts": fts
        and {
            "job_state": fts.job_state,
            "file_state": fts.file_state,
            "reason": fts.reason or None,
            "source_surl": fts.source_surl or None,
            "start_time": iso(fts.started_at),
            "finish_time": iso(fts.finished_at),
        },
        "fts_problem": request.fts_problem or None,
        "metrics": metrics,
    }


VIEW: View[Request] = View(
    id="requests",
    title="Transfers",
    columns=(
        Column(
            "did",
            "DID",
            lambda r, now: _what(r),
            lambda r: (r.scope, r.name),
            22,
            style=lambda r, now: "muted" if r.is_link else "",
            letter="d",
        ),
        Column("link", "FROM → TO", lambda r, now: _link(r), lambda r: (r.source_rse, r.dest_rse), 22, letter="l"),
        Column(
            "state",
            "STATE",
            lambda r, now: clean(_state(r).text),
            lambda r: -1 if r.is_link else states.rank(states.REQUEST, r.state),
            14,
            style=lambda r, now: _state(r).style,
            letter="s",
        ),
        Column("fts", "FTS", lambda r, now: _fts_text(r), _fts_state, 12, style=_fts_style, letter="f", priority=2),
        Column("size", "SIZE", lambda r, now: clean(bytes_text(_bytes(r))), _bytes, 7, "right", letter="z", priority=2),
        Column("age", "AGE", lambda r, now: clean(age_text(r.since, now)), lambda r: r.since, 5, "right", letter="a"),
        Column(
            "retries",
            "TRY",
            lambda r, now: clean("" if r.is_link else r.retry_count + 1),
            lambda r: r.retry_count,
            3,
            "right",
            letter="t",
            priority=3,
        ),
        Column("activity", "ACTIVITY", lambda r, now: clean(r.activity), lambda r: r.activity, 16, letter="v", priority=3),
        Column("why", "WHY", lambda r, now: why(r), why, letter="w"),
    ),
    order=(("state", True), ("age", False), ("link", False)),
    detail=_detail,
    record=_record,
    aliases=("transfers", "request"),
)
