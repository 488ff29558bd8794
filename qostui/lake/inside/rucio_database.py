"""Makes the catalogue: schema, base VO, root account, then write-ahead logging for many readers and writers."""

from __future__ import annotations

import os
import sqlite3

from .state import State


def create(state: State) -> None:
    """Build the database of a lake; a failed attempt must be deleted first (tables without accounts stay behind)."""
    state.database.unlink(missing_ok=True)
    os.environ["RUCIO_HOME"] = str(state.rucio_home)
    from rucio.db.sqla.util import build_database, create_base_vo, create_root_account

    build_database()
    create_base_vo()
    create_root_account()
    with sqlite3.connect(state.database) as database:
        database.execute("PRAGMA journal_mode=WAL")
