"""The view of credentials: what the profile holds, where each comes from, when it ends, and who has accepted it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ...domain.credential import Credential, Proof
from ...domain.table import Column, Fact, View
from ...domain.text import SafeText, clean
from ...domain.units import age_text, bar, duration_text, iso, left_text, minute_text

SOON = timedelta(hours=1)
WHOAMI = "whoami"
"""Where Rucio's own proof was had."""
_BAR_CELLS = 5
_FULL_BAR = timedelta(hours=12)
_SESSION = timedelta(hours=1)
"""What a Rucio session is taken to last while its beginning is not known."""


def _left(row: Credential, now: datetime) -> SafeText:
    """A bar and the time left; full is the whole life of the credential, half a day at most."""
    if row.expires is None:
        return clean("" if row.problem else "no end stated")
    whole = row.lifetime or (_SESSION if row.renews else _FULL_BAR)
    share = max((row.expires - now) / min(whole, _FULL_BAR), 0.0)
    return clean(f"{bar(share, _BAR_CELLS)} {left_text(row.expires, now)}{_sign_of_end(row, now)}")


def _sign_of_end(row: Credential, now: datetime) -> str:
    if row.renews:
        return " renews"
    if row.expires is None or row.expires <= now:
        return ""
    return " ▲ ends first" if row.ends_before else " ▲" if _ends_soon(row, now) else ""


def _ends_soon(row: Credential, now: datetime) -> bool:
    return row.expires is not None and row.expires - now < SOON and not row.renews


def _left_style(row: Credential, now: datetime) -> str:
    if row.expires is not None and row.expires <= now:
        return "state-stuck"
    return "state-replicating" if _ends_soon(row, now) else ""


def proven(row: Credential) -> SafeText:
    """What is wrong with it, else who accepted it and who did not, else what is known of it: `whoami ✔  5 doors ✔`."""
    if row.problem:
        return clean(f"✖ {row.problem}")
    said = [f"{proof.where} {_sign(proof)}{_reason(proof)}" for proof in row.proofs if proof.where == WHOAMI]
    doors = [proof for proof in row.proofs if proof.where != WHOAMI]
    for answer in (True, False):
        alike = [proof for proof in doors if proof.accepted is answer]
        if alike:
            where = alike[0].where if len(alike) == 1 else f"{len(alike)} doors"
            said.append(f"{where} {_sign(alike[0])}{_reason(alike[0])}")
    return clean("  ".join(said) or row.note)


def _sign(proof: Proof) -> str:
    return "✔" if proof.accepted else "✖"


def _reason(proof: Proof) -> str:
    return f" {proof.reason}" if proof.reason and not proof.accepted else ""


def _proven_style(row: Credential, now: datetime) -> str:
    if row.problem:
        return "state-stuck"
    if not row.proofs:
        return "muted"
    return "state-ok" if all(proof.accepted for proof in row.proofs) else "state-replicating"


def _detail(row: Credential, now: datetime) -> list[Fact]:
    from ..ports_credentials import ACTIONS  # not loaded before the first picture

    facts = [Fact(clean(row.kind)), Fact("who", clean(row.who)), Fact("from", clean(row.source))]
    if row.problem:
        facts.append(Fact("problem", clean(row.problem), "state-stuck"))
    if row.note:
        facts.append(Fact("note", clean(row.note)))
    if row.subject and row.subject != row.who:
        facts.append(Fact("subject", clean(row.subject)))
    if row.not_before is not None:
        facts.append(Fact("valid from", clean(minute_text(row.not_before))))
    if row.expires is not None:
        facts.append(Fact("valid until", clean(f"{minute_text(row.expires)}   {left_text(row.expires, now)}"), _left_style(row, now)))
    if row.lifetime is not None:
        facts.append(Fact("made for", clean(duration_text(row.lifetime))))
    if row.renews:
        facts.append(Fact("renewed", clean("by the console itself, ahead of its end")))
    if row.ends_before:
        facts.append(Fact("ends", clean(f"before {row.ends_before}, which has a clock of its own"), "state-replicating"))
    facts.extend(Fact(label, clean(value)) for label, value in (("issuer", row.issuer), ("serial", row.serial), ("VO", row.vo)) if value)
    facts.extend(_proofs(row, now))
    groups = "FQANs" if row.vo else "groups"
    for title, values in (("scopes", row.scopes), ("audience", row.audience), (groups, row.groups), ("chain", row.chain)):
        facts.extend(_listed(title, values))
    if row.facts:
        facts.append(Fact("more"))
        facts.extend(Fact(clean(label), clean(value)) for label, value in row.facts)
    facts.extend(_listed("press a to", [ACTIONS[name] for name in row.actions if name in ACTIONS]))
    return facts


def _proofs(row: Credential, now: datetime) -> list[Fact]:
    if not row.proofs:
        return [Fact("proven", clean("not shown to any server yet"), "muted")] if row.proven_at is None else _proven_once(row, now)
    facts = [Fact("proven by")]
    for proof in row.proofs:
        words = f"{_sign(proof)} {'accepted' if proof.accepted else proof.reason or 'refused'}"
        style = "state-ok" if proof.accepted else "state-stuck"
        facts.append(Fact(clean(proof.where), clean(f"{words}   {age_text(proof.at, now)} ago"), style))
    return facts


def _proven_once(row: Credential, now: datetime) -> list[Fact]:
    return [Fact("proven", clean(f"{minute_text(row.proven_at)}   {age_text(row.proven_at, now)} ago"))]


def _listed(title: str, values: Sequence[str]) -> list[Fact]:
    return [Fact(title), *(Fact("", clean(value)) for value in values)] if values else []


def _record(row: Credential) -> dict[str, Any]:
    left = None if row.expires is None else max(0, int((row.expires - datetime.now(UTC)).total_seconds()))
    return {
        "kind": row.kind,
        "who": row.who,
        "subject": row.subject or None,
        "source": row.source,
        "expires_at": iso(row.expires),
        "seconds_left": left,
        "not_before": iso(row.not_before),
        "renews": row.renews,
        "issuer": row.issuer or None,
        "vo": row.vo or None,
        "scopes": list(row.scopes),
        "audience": list(row.audience),
        "groups": list(row.groups),
        "usable_at": list(row.usable_at),
        "proofs": [
            {"where": proof.where, "accepted": proof.accepted, "at": iso(proof.at), "reason": proof.reason or None} for proof in row.proofs
        ],
        "chain": list(row.chain),
        "serial": row.serial or None,
        "problem": row.problem or None,
        "note": row.note or None,
        "proven_at": iso(row.proven_at),
        "actions": list(row.actions),
        "facts": dict(row.facts),
    }


VIEW: View[Credential] = View(
    id="credentials",
    title="Credentials",
    columns=(
        Column("kind", "KIND", lambda r, now: clean(f" └ {r.kind}" if r.kind == "VOMS AC" else r.kind), lambda r: r.id, 17, letter="k"),
        Column("who", "WHO", lambda r, now: clean(r.who), lambda r: r.who, 26, letter="w"),
        Column("from", "FROM", lambda r, now: clean(r.source), lambda r: r.source, 24, letter="f", priority=2),
        Column("left", "TIME LEFT", _left, lambda r: r.expires, 23, style=_left_style, letter="l"),
        Column(
            "scope",
            "SCOPES, GROUPS",
            lambda r, now: clean(" ".join(r.scopes + r.groups)),
            lambda r: r.scopes + r.groups,
            24,
            letter="s",
            priority=3,
        ),
        Column("proven", "PROVEN BY", lambda r, now: proven(r), proven, style=_proven_style, letter="p"),
    ),
    order=(("kind", False),),
    detail=_detail,
    record=_record,
    aliases=("creds", "credential"),
)
