"""States are told apart by what is written, not by colour alone."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from qostui.domain import states

TABLES = {name: table for name, table in vars(states).items() if isinstance(table, dict) and name.isupper() and name != "REQUEST_TYPE"}


def test_all_tables_are_looked_at() -> None:
    assert set(TABLES) >= {"RULE", "LOCK", "REQUEST", "REPLICA", "FTS"}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_no_two_states_of_a_table_read_the_same(table: dict[str, states.StateKind]) -> None:
    texts = [kind.text for kind in table.values()]
    assert len(set(texts)) == len(texts)
    assert len({kind.label for kind in table.values()}) == len(texts), "nor by the word alone, where a font has no glyphs"


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_glyphs_take_one_cell(table: dict[str, states.StateKind]) -> None:
    for kind in (*table.values(), states.UNKNOWN):
        assert len(kind.glyph) == cell_len(kind.glyph) == 1, kind


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_state_nobody_knows_is_shown_as_it_came(table: dict[str, states.StateKind]) -> None:
    for came in ("HALF_DONE", "Z", "stuck"):
        assert states.kind(table, came).text == f"? {came}"
    assert states.kind(table, "").text == "? UNKNOWN"
    assert all(states.rank(table, "HALF_DONE") > states.rank(table, word) for word in table), "and asked about first"


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_letters_mean_one_state(table: dict[str, states.StateKind]) -> None:
    letters = [kind.letter for kind in table.values() if kind.letter]
    assert len(set(letters)) == len(letters)
    for word, kind in table.items():
        assert states.kind(table, word) is kind
        if kind.letter:
            assert states.kind(table, kind.letter) is kind
