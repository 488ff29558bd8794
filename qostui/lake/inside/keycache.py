"""The issuer's public keys, put where each XRootD looks before it would fetch them.

libSciTokens 0.7.3 fetches keys with the system's CA store only and has no setting for another CA. It first looks into
a cache, `$XDG_CACHE_HOME/scitokens/scitokens_cpp.sqllite` (its spelling), so the keys are put there (run).
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from . import topology
from .state import Facts, State, issuer

_LIFETIME_SECONDS = 10 * 365 * 86400
_TABLE = "CREATE TABLE IF NOT EXISTS keycache (issuer text UNIQUE PRIMARY KEY NOT NULL, keys text NOT NULL)"


def cache_home(state: State, server: topology.Server) -> Path:
    """XDG_CACHE_HOME of one storage server."""
    return state.home(server.name) / "cache"


def seed(state: State, facts: Facts) -> None:
    """Give every server that takes tokens the keys of `state.jwks`, and no other issuer's.

    Run it after each rotation; servers that run may hold older keys until they are started again. Raises
    FileNotFoundError before the provider has written its keys, ValueError when they are not a JWK set.
    """
    keys = json.loads(state.jwks.read_text())
    if not isinstance(keys, dict) or not keys.get("keys"):
        raise ValueError(f"{state.jwks} holds no keys")
    until = int(time.time()) + _LIFETIME_SECONDS
    entry = json.dumps({"jwks": keys, "expires": until, "next_update": until})
    for server in topology.SERVERS:
        if server.tokens:
            _write(cache_home(state, server) / "scitokens" / "scitokens_cpp.sqllite", issuer(facts), entry)


def _write(path: Path, name: str, entry: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    with closing(sqlite3.connect(path, timeout=10)) as database, database:
        database.execute(_TABLE)
        database.execute("DELETE FROM keycache")
        database.execute("INSERT INTO keycache VALUES (?, ?)", (name, entry))
