"""The view of credentials: what the profile holds, where each comes from, and when it ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ...domain.credential import Credential
from ...domain.table import Column, Fact, View
from ...domain.text import SafeText, clean
from ...domain.units import age_text, bar, iso, left_text, minute_text

_BAR_CELLS = 6
_FULL_BAR = timedelta(hours=12)
_SOON = timedelta(hours=1)


def _left(row: Credential, now: datetime) -> SafeText:
    if row.expires is None:
        return clean("" if row.problem else "no end stated")
    if row.kind == "Rucio session":
        return clean(f"{bar(max((row.expires - now) / timedelta(hours=1), 0.0), _BAR_CELLS)} {left_text(row.expires, now)} renews")
    whole = row.expires - row.not_before if row.not_before is not None and row.not_before < row.expires else _FULL_BAR
    share = (row.expires - now) / min(whole, _FULL_BAR)
    return clean(f"{bar(max(share, 0.0), _BAR_CELLS)} {left_text(row.expires, now)}{' ▲' if _ends_soon(row, now) else ''}")


def _ends_soon(row: Credential, now: datetime) -> bool:
    return row.expires is not None and row.expires - now < _SOON and row.kind != "Rucio session"


def _style(row: Credential) -> str:
    now = datetime.now(UTC)
    if row.problem or (row.expires is not None and row.expires <= now):
        return "state-stuck"
    return "state-replicating" if _ends_soon(row, now) else ""


def _remark(row: Credential) -> SafeText:
    return clean(row.problem or row.note)


def _detail(row: Credential, now: datetime) -> list[Fact]:
    facts = [Fact(clean(row.kind)), Fact("who", clean(row.who)), Fact("from", clean(row.source))]
    if row.problem:
        facts.append(Fact("problem", clean(row.problem), "state-stuck"))
    if row.note:
        facts.append(Fact("note", clean(row.note)))
    if row.proven_at is not None:
        facts.append(Fact("proven", clean(f"{minute_text(row.proven_at)}   {age_text(row.proven_at, now)} ago")))
    if row.not_before is not None:
        facts.append(Fact("valid from", clean(minute_text(row.not_before))))
    if row.expires is not None:
        facts.append(Fact("valid until", clean(f"{minute_text(row.expires)}   {left_text(row.expires, now)}"), _style(row)))
    facts.extend(Fact(label, clean(value)) for label, value in (("issuer", row.issuer), ("serial", row.serial)) if value)
    for title, values in (("scopes", row.scopes), ("audience", row.audience), ("groups", row.groups), ("chain", row.chain)):
        if values:
            facts.append(Fact(title))
            facts.extend(Fact("", clean(value)) for value in values)
    if row.facts:
        facts.append(Fact("more"))
        facts.extend(Fact(clean(label), clean(value)) for label, value in row.facts)
    return facts


def _record(row: Credential) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "who": row.who,
        "subject": row.subject or None,
        "source": row.source,
        "expires_at": iso(row.expires),
        "not_before": iso(row.not_before),
        "issuer": row.issuer or None,
        "scopes": list(row.scopes),
        "audience": list(row.audience),
        "groups": list(row.groups),
        "chain": list(row.chain),
        "serial": row.serial or None,
        "problem": row.problem or None,
        "note": row.note or None,
        "proven_at": iso(row.proven_at),
        "facts": dict(row.facts),
    }


VIEW: View[Credential] = View(
    id="credentials",
    title="Credentials",
    columns=(
        Column("kind", "KIND", lambda r, now: clean(f" └ {r.kind}" if r.kind == "VOMS AC" else r.kind), lambda r: r.id, 17, letter="k"),
        Column("who", "WHO", lambda r, now: clean(r.who), lambda r: r.who, 26, letter="w"),
        Column("from", "FROM", lambda r, now: clean(r.source), lambda r: r.source, 24, letter="f", priority=2),
        Column("left", "TIME LEFT", _left, lambda r: r.expires, 22, style=_style, letter="l"),
        Column(
            "scope",
            "SCOPES, GROUPS",
            lambda r, now: clean(" ".join(r.scopes + r.groups)),
            lambda r: r.scopes + r.groups,
            24,
            letter="s",
            priority=3,
        ),
        Column("remark", "REMARK", lambda r, now: _remark(r), _remark, style=lambda r: "state-stuck" if r.problem else "muted", letter="r"),
    ),
    order=(("kind", False),),
    detail=_detail,
    record=_record,
    aliases=("creds", "credential"),
)
