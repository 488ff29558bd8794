"""The view of findings: what the doctor found, the worst first, each with its fix."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ...domain.finding import FAULT, LEVELS, NOTE, OK, TOPICS, WARNING, Finding
from ...domain.table import Column, Fact, View
from ...domain.text import SafeText, clean

GLYPHS = {FAULT: "✖", WARNING: "▲", NOTE: "·", OK: "✔"}
_STYLES = {FAULT: "state-stuck", WARNING: "state-replicating", NOTE: "muted", OK: "state-ok"}


def level_text(row: Finding) -> SafeText:
    """`✖ fault`: a glyph and a word, so that no colour is needed."""
    return clean(f"{GLYPHS.get(row.level, '?')} {row.level}")


def _style(row: Finding) -> str:
    return _STYLES.get(row.level, "")


def _detail(row: Finding, now: datetime) -> list[Fact]:
    facts = [Fact(clean(row.summary)), Fact("level", level_text(row), _style(row)), Fact("about", clean(row.subject))]
    if row.fix:
        facts.append(Fact("fix", clean(row.fix)))
    if row.detail:
        facts.append(Fact("detail", clean(row.detail)))
    facts.append(Fact("check", clean(row.check)))
    return facts


def _record(row: Finding) -> dict[str, Any]:
    return {
        "check": row.check,
        "subject": row.subject,
        "level": row.level,
        "summary": row.summary,
        "fix": row.fix or None,
        "detail": row.detail or None,
    }


VIEW: View[Finding] = View(
    id="findings",
    title="Doctor",
    columns=(
        Column(
            "level", "LEVEL", lambda r, now: level_text(r), lambda r: LEVELS.index(r.level), 10, style=lambda r, now: _style(r), letter="l"
        ),
        Column("topic", "TOPIC", lambda r, now: clean(r.topic), lambda r: list(TOPICS).index(r.topic), 12, letter="t", priority=2),
        Column("summary", "WHAT", lambda r, now: clean(r.summary), lambda r: r.summary, None, letter="w"),
        Column("fix", "FIX", lambda r, now: clean(r.fix), lambda r: r.fix, 40, letter="f", priority=2),
    ),
    order=(("level", False), ("topic", False)),
    detail=_detail,
    record=_record,
    aliases=("doctor", "finding"),
)
