"""Rewrites what the databases know of ports and paths, after a move, new ports or a copy of a lake.

What a database was last written for stands beside it in `written_for.json`; `rewrite` brings it to the facts of today.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import topology
from .state import Facts, State, rse_prefix

_ADDRESS = re.compile(rf"\b{topology.HOST}:(\d+)")


@dataclass(frozen=True)
class _Writing:
    """The ports and the place that a database speaks of."""

    ports: dict[str, int]
    root: str

    @classmethod
    def of(cls, state: State, facts: Facts) -> _Writing:
        return cls(dict(facts.ports), str(state.root))


def note(state: State, facts: Facts) -> None:
    """Remember that the databases are written for these facts."""
    written = _Writing.of(state, facts)
    _note_file(state).write_text(json.dumps({"ports": written.ports, "root": written.root}))


def rewrite(state: State, facts: Facts) -> bool:
    """Bring the databases to today's facts; whether anything had to be changed. No service may run meanwhile."""
    loaded = json.loads(_note_file(state).read_text())
    old, new = _Writing(loaded["ports"], loaded["root"]), _Writing.of(state, facts)
    if old == new:
        return False
    change = _change(old, new)
    with sqlite3.connect(state.database) as catalogue:
        _rewrite_texts(catalogue, change)
        _rewrite_protocols(catalogue, state, facts)
        catalogue.execute("DELETE FROM tokens")
    for path in sorted(state.fts.glob("*.db")):
        with sqlite3.connect(path) as jobs:
            _rewrite_texts(jobs, change)
    note(state, facts)
    return True


def _note_file(state: State) -> Path:
    return state.rucio_home / "written_for.json"


def _change(old: _Writing, new: _Writing) -> Callable[[str], str]:
    """A function that rewrites every address and path in a text; all ports at once, since old and new may overlap."""
    ports = {str(number): str(new.ports[name]) for name, number in old.ports.items() if name in new.ports}

    def change(text: str) -> str:
        moved = text.replace(f"{old.root}/", f"{new.root}/")
        return _ADDRESS.sub(lambda match: f"{topology.HOST}:{ports.get(match[1], match[1])}", moved)

    return change


def _rewrite_texts(database: sqlite3.Connection, change: Callable[[str], str]) -> None:
    """Apply `change` to every text value of every table."""
    database.execute("PRAGMA foreign_keys=OFF")
    tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite_%'")]
    for table in tables:
        columns = [row[1] for row in database.execute(f'PRAGMA table_info("{table}")')]
        for column in columns:
            named = f"""SELECT DISTINCT "{column}" FROM "{table}" WHERE typeof("{column}")='text'"""  # noqa: S608  # from the schema
            values = database.execute(f"""{named} AND ("{column}" LIKE '%{topology.HOST}:%' OR "{column}" LIKE '%/live/%')""").fetchall()
            for (value,) in values:
                if (changed := change(value)) != value:
                    database.execute(f'UPDATE "{table}" SET "{column}"=? WHERE "{column}"=?', (changed, value))  # noqa: S608


def _rewrite_protocols(database: sqlite3.Connection, state: State, facts: Facts) -> None:
    """Ports are numbers of their own in Rucio's protocol table."""
    for rse in topology.RSES:
        for scheme, server_name in rse.doors:
            port = facts.ports[topology.server(server_name).port_name(scheme)]
            database.execute(
                "UPDATE rse_protocols SET port=?, prefix=? WHERE scheme=? AND rse_id=(SELECT id FROM rses WHERE rse=?)",
                (port, rse_prefix(state, rse, scheme), scheme, rse.name),
            )
