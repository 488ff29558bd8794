"""States of Rucio and FTS as tables: letter, word, glyph and theme variable (read in this one place).

Letters and words are those of rucio.db.sqla.constants (41.5.1); colours follow the Rucio WebUI; the word and a glyph
always go with the colour, so that colour is never the only carrier.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StateKind:
    """One state: its database letter, Rucio's word, the label we show, a glyph and the theme variable of its colour."""

    letter: str
    word: str
    label: str
    glyph: str
    style: str

    @property
    def text(self) -> str:
        """Glyph and label, as tables show it."""
        return f"{self.glyph} {self.label}"


def _table(*rows: tuple[str, str, str, str] | tuple[str, str, str, str, str]) -> dict[str, StateKind]:
    kinds = (StateKind(row[0], row[1], row[4] if len(row) == 5 else row[1], row[2], row[3]) for row in rows)
    return {kind.word: kind for kind in kinds}


RULE = _table(
    ("S", "STUCK", "✖", "state-stuck"),
    ("U", "SUSPENDED", "‖", "state-suspended"),
    ("W", "WAITING_APPROVAL", "◆", "state-approval", "APPROVAL?"),
    ("I", "INJECT", "◇", "state-inject"),
    ("R", "REPLICATING", "●", "state-replicating"),
    ("O", "OK", "✔", "state-ok"),
)
"""Rule states in the order in which they are asked for: the rare and urgent first."""

LOCK = _table(("O", "OK", "✔", "state-ok"), ("R", "REPLICATING", "●", "state-replicating"), ("S", "STUCK", "✖", "state-stuck"))

REQUEST = _table(
    ("F", "FAILED", "✖", "state-stuck"),
    ("L", "LOST", "✖", "state-stuck"),
    ("A", "SUBMISSION_FAILED", "✖", "state-stuck"),
    ("N", "NO_SOURCES", "✖", "state-stuck"),
    ("M", "MISMATCH_SCHEME", "✖", "state-stuck"),
    ("O", "ONLY_TAPE_SOURCES", "▲", "state-suspended"),
    ("U", "SUSPEND", "‖", "state-suspended"),
    ("S", "SUBMITTED", "●", "state-replicating"),
    ("G", "SUBMITTING", "◐", "state-replicating"),
    ("Q", "QUEUED", "○", "state-waiting"),
    ("P", "PREPARING", "○", "state-waiting"),
    ("W", "WAITING", "○", "state-waiting"),
    ("D", "DONE", "✔", "state-ok"),
)
"""Request states, most urgent first."""

REPLICA = _table(
    ("A", "AVAILABLE", "✔", "state-ok"),
    ("U", "UNAVAILABLE", "▲", "state-replicating"),
    ("C", "COPYING", "●", "state-inject"),
    ("B", "BEING_DELETED", "✖", "state-stuck"),
    ("D", "BAD", "✖", "state-stuck"),
    ("T", "TEMPORARY_UNAVAILABLE", "▲", "state-replicating", "TEMP. UNAVAILABLE"),
)

FTS = _table(
    ("", "SUBMITTED", "○", "fts-submitted"),
    ("", "READY", "◐", "fts-ready"),
    ("", "STAGING", "◆", "fts-staging"),
    ("", "STARTED", "◆", "fts-staging"),
    ("", "ARCHIVING", "◇", "fts-archiving"),
    ("", "ACTIVE", "●", "fts-active"),
    ("", "FINISHED", "✔", "state-ok"),
    ("", "FINISHEDDIRTY", "▲", "fts-dirty"),
    ("", "FAILED", "✖", "state-stuck"),
    ("", "CANCELED", "‖", "fts-canceled"),
    ("", "ON_HOLD", "‖", "state-suspended"),
)

REQUEST_TYPE = {"T": "TRANSFER", "U": "UPLOAD", "D": "DOWNLOAD", "I": "STAGEIN", "O": "STAGEOUT"}
UNKNOWN = StateKind("?", "UNKNOWN", "UNKNOWN", "?", "muted")


def kind(table: dict[str, StateKind], state: str) -> StateKind:
    """The entry of `state`, given as word or letter; what the table does not know is shown as it came."""
    found = table.get(state)
    if found is None:
        for candidate in table.values():
            if candidate.letter and candidate.letter == state:
                return candidate
        return StateKind("?", state, state or "UNKNOWN", "?", "muted")
    return found


def rank(table: dict[str, StateKind], state: str) -> int:
    """Position in the table, counted from the end: the most urgent is the largest; unknown states come first of all."""
    for position, word in enumerate(table):
        if word == state:
            return len(table) - position
    return len(table) + 1
