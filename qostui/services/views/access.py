"""The view of doors: which credential each of them takes, told offline and, where it was tried, by the door itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ...domain.access import NO, UNKNOWN, YES, Access
from ...domain.table import Column, Fact, View
from ...domain.text import SafeText, clean
from ...domain.units import age_text, iso, minute_text

_ANSWERS = {YES: ("✔ yes", "state-ok"), NO: ("✖ no", "state-stuck"), UNKNOWN: ("? try", "state-replicating")}
"""Answer -> its text and style; a doubt asks to be tried."""
_ORDER = (NO, UNKNOWN, YES)


def _answer(row: Access) -> SafeText:
    return clean(_ANSWERS[row.answer][0])


def _live(row: Access) -> SafeText:
    return clean("" if row.live is None else _ANSWERS[YES if row.live.accepted else NO][0])


def _live_style(row: Access) -> str:
    return "muted" if row.live is None else _ANSWERS[YES if row.live.accepted else NO][1]


def _why(row: Access) -> str:
    """What the door said where it was tried, else what is known offline, with the step."""
    if row.live is not None:
        return row.live.reason
    return "; ".join(filter(None, (row.reason, row.step)))


def _detail(row: Access, now: datetime) -> list[Fact]:
    facts = [
        Fact(clean(f"{row.rse} {row.scheme}")),
        Fact("door", clean(row.door)),
        Fact("credential", clean(row.kind)),
        Fact("offline", _answer(row), _ANSWERS[row.answer][1]),
    ]
    facts += [Fact(label, clean(text)) for label, text in (("reason", row.reason), ("next step", row.step)) if text]
    if row.live is None:
        return [*facts, Fact("live", clean("not tried"), "muted")]
    facts.append(Fact("live", _live(row), _live_style(row)))
    if row.live.reason:
        facts.append(Fact("said", clean(row.live.reason)))
    return [*facts, Fact("tried", clean(f"{minute_text(row.live.at)}   {age_text(row.live.at, now)} ago"))]


def _record(row: Access) -> dict[str, Any]:
    return {
        "rse": row.rse,
        "scheme": row.scheme,
        "url": row.door,
        "credential": row.kind,
        "credential_id": row.credential,
        "offline": row.answer,
        "reason": row.reason or None,
        "step": row.step or None,
        "live": None if row.live is None else row.live.accepted,
        "live_reason": (row.live.reason or None) if row.live is not None else None,
        "live_at": iso(row.live.at) if row.live is not None else None,
    }


VIEW: View[Access] = View(
    id="doors",
    title="Doors",
    columns=(
        Column("rse", "RSE", lambda r, now: clean(r.rse), lambda r: r.rse, 18, letter="r"),
        Column("scheme", "SCHEME", lambda r, now: clean(r.scheme), lambda r: r.scheme, 7, letter="e"),
        Column("credential", "CREDENTIAL", lambda r, now: clean(r.kind), lambda r: (r.credential, r.kind), 16, letter="k"),
        Column(
            "offline",
            "OFFLINE",
            lambda r, now: _answer(r),
            lambda r: _ORDER.index(r.answer),
            7,
            style=lambda r, now: _ANSWERS[r.answer][1],
            letter="o",
        ),
        Column(
            "live",
            "LIVE",
            lambda r, now: _live(r),
            lambda r: None if r.live is None else r.live.accepted,
            9,
            style=lambda r, now: _live_style(r),
            letter="l",
        ),
        Column("door", "DOOR", lambda r, now: clean(r.door), lambda r: r.door, 40, letter="d", priority=3),
        Column("why", "WHY, NEXT STEP", lambda r, now: clean(_why(r)), _why, style=lambda r, now: "muted", letter="w"),
    ),
    order=(("rse", False), ("scheme", False), ("credential", False)),
    detail=_detail,
    record=_record,
    aliases=("access", "door"),
)
