"""Lets many Rucio processes write one SQLite catalogue without failing each other.

Rucio begins a transaction by filling temporary tables, reads, then writes. A deferred transaction would have to be
upgraded in the middle and fails at once when another process has written meanwhile (SQLITE_BUSY_SNAPSHOT, seen in
attach_dids and add_replicas of 41.5.1). An IMMEDIATE one takes the write lock at its start and waits for it; plain
reads begin no transaction and are unaffected.
"""

from __future__ import annotations

from typing import Any


def take_locks_early() -> None:
    """Make every SQLite connection of this process begin its writing transactions IMMEDIATE.

    Set at each checkout: SQLAlchemy 2.0 puts the level of its first connection back after the `connect` event, so
    the `isolation_level` of the database URL does not hold there.
    """
    from sqlalchemy import event
    from sqlalchemy.pool import Pool

    @event.listens_for(Pool, "checkout")
    def _immediate(connection: Any, _record: object, _proxy: object) -> None:
        connection.isolation_level = "IMMEDIATE"
