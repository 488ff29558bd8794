"""What the provider must remember over a restart, in SQLite: codes, log-ins, refresh families, revoked tokens, failures.

Secrets (codes, refresh tokens, session ids) are kept as SHA-256 only; they have at least 192 random bits.
All times are epoch seconds. Every thread has a connection of its own, opened on first use, so after gunicorn's fork.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .. import atomic

_SCHEMA = """
CREATE TABLE IF NOT EXISTS family(id TEXT PRIMARY KEY, client TEXT NOT NULL, subject TEXT NOT NULL, scope TEXT NOT NULL,
  audience TEXT NOT NULL, login_time INTEGER, expires INTEGER NOT NULL, revoked INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS refresh(hash TEXT PRIMARY KEY, family TEXT NOT NULL REFERENCES family(id) ON DELETE CASCADE,
  used INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS code(hash TEXT PRIMARY KEY, client TEXT NOT NULL, subject TEXT NOT NULL, scope TEXT NOT NULL,
  audience TEXT NOT NULL, redirect TEXT NOT NULL, challenge TEXT, nonce TEXT, login_time INTEGER, expires INTEGER NOT NULL,
  family TEXT NOT NULL, used INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS device(hash TEXT PRIMARY KEY, user_code TEXT UNIQUE NOT NULL, client TEXT NOT NULL, scope TEXT NOT NULL,
  audience TEXT NOT NULL, interval INTEGER NOT NULL, polled REAL NOT NULL DEFAULT 0, decision TEXT, subject TEXT,
  login_time INTEGER, used INTEGER NOT NULL DEFAULT 0, expires INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS issued(jti TEXT PRIMARY KEY, family TEXT NOT NULL, expires INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS revoked(jti TEXT PRIMARY KEY, expires INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS login(hash TEXT PRIMARY KEY, person TEXT NOT NULL, time INTEGER NOT NULL, expires INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS failure(what TEXT NOT NULL, time INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS issued_family ON issued(family);
CREATE INDEX IF NOT EXISTS refresh_family ON refresh(family);
CREATE INDEX IF NOT EXISTS failure_what ON failure(what, time);
"""
BUSY_S = 10.0
CODE_LIFETIME_S = 120
DEVICE_LIFETIME_S = 900
FAMILY_LIFETIME_S = 30 * 86400
LOGIN_LIFETIME_S = 8 * 3600
FAILURES_ALLOWED = 5
FAILURE_WINDOW_S = 120
SLOW_DOWN_S = 5
"""What `slow_down` adds to a device's polling interval (RFC 8628 section 3.5)."""
_JITTER_S = 0.25
_PRUNE_EVERY_S = 300
_SPENT_KEPT_S = 3600
"""How long spent codes are kept: a replay is recognised, a late device is told `expired_token`."""


def digest(secret: str) -> str:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class Store:
    """The provider's memory; methods are safe to call from any thread."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self.clock = clock
        self._local = threading.local()
        self._pruned = 0.0

    def prepare(self) -> None:
        """Make the file (mode 0600, write-ahead log) and its tables."""
        if not self._path.exists():
            atomic.write(self._path, "", 0o600)
        self._path.chmod(0o600)
        with sqlite3.connect(self._path, timeout=BUSY_S) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.executescript(_SCHEMA)
        database.close()

    def now(self) -> int:
        """The time by the store's clock, whole seconds."""
        return int(self.clock())

    def _database(self) -> sqlite3.Connection:
        if getattr(self._local, "process", None) != os.getpid():
            database = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None)
            database.row_factory = sqlite3.Row
            database.execute("PRAGMA foreign_keys=ON")
            database.execute("PRAGMA synchronous=NORMAL")
            database.execute("PRAGMA cache_size=-256")
            self._local.database, self._local.process = database, os.getpid()
        held: sqlite3.Connection = self._local.database
        return held

    def _one(self, sql: str, *values: object) -> dict[str, Any] | None:
        row = self._database().execute(sql, values).fetchone()
        return dict(row) if row else None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        database = self._database()
        database.execute("BEGIN IMMEDIATE")
        try:
            self._prune(database)
            yield database
        except BaseException:
            database.execute("ROLLBACK")
            raise
        database.execute("COMMIT")

    def _prune(self, database: sqlite3.Connection) -> None:
        now = self.now()
        if abs(now - self._pruned) < _PRUNE_EVERY_S:
            return
        self._pruned = now
        for table, kept in (("family", 0), ("issued", 0), ("revoked", 0), ("login", 0), ("code", _SPENT_KEPT_S), ("device", _SPENT_KEPT_S)):
            database.execute(f"DELETE FROM {table} WHERE expires < ?", (now - kept,))  # noqa: S608  # names of the line above
        database.execute("DELETE FROM failure WHERE time < ?", (now - FAILURE_WINDOW_S,))

    # Authorization codes

    def add_code(self, code: str, **fields: object) -> None:
        """Remember an authorization code; `fields` are the columns of `code` without hash, expires, family, used."""
        row = {**fields, "hash": digest(code), "expires": self.now() + CODE_LIFETIME_S, "family": secrets.token_hex(16)}
        with self._writing() as database:
            _insert(database, "code", row)

    def code(self, code: str) -> dict[str, Any] | None:
        """The row of a code, used or expired ones too."""
        return self._one("SELECT * FROM code WHERE hash=?", digest(code))

    def use_code(self, code: str) -> bool:
        """Take a code for its one use; False when it was used or has run out."""
        with self._writing() as database:
            found = database.execute("UPDATE code SET used=1 WHERE hash=? AND used=0 AND expires>?", (digest(code), self.now()))
            return found.rowcount == 1

    # Device codes

    def add_device(self, device_code: str, user_code: str, client: str, scope: str, audience: str, interval: int) -> None:
        """Remember a device that waits for its user."""
        row = {"hash": digest(device_code), "user_code": user_code, "client": client, "scope": scope, "audience": audience}
        with self._writing() as database:
            _insert(database, "device", {**row, "interval": interval, "expires": self.now() + DEVICE_LIFETIME_S})

    def device(self, device_code: str) -> dict[str, Any] | None:
        """The row of a device code, decided, used or expired ones too."""
        return self._one("SELECT * FROM device WHERE hash=?", digest(device_code))

    def waiting_device(self, user_code: str) -> dict[str, Any] | None:
        """The undecided, living row of a user code."""
        return self._one("SELECT * FROM device WHERE user_code=? AND decision IS NULL AND expires>?", user_code, self.now())

    def polled_too_soon(self, device_code: str) -> bool:
        """Note a poll; True when it came before the interval, which then grows (RFC 8628 section 3.5)."""
        now = self.clock()
        with self._writing() as database:
            row = database.execute("SELECT interval, polled FROM device WHERE hash=?", (digest(device_code),)).fetchone()
            soon = bool(row) and 0 <= now - row["polled"] < row["interval"] - _JITTER_S
            database.execute(
                "UPDATE device SET polled=?, interval=interval+? WHERE hash=?", (now, SLOW_DOWN_S if soon else 0, digest(device_code))
            )
        return soon

    def decide_device(self, user_code: str, decision: str, subject: str, scope: str, login_time: int) -> bool:
        """Write the user's decision (`allow` or `deny`) and what was granted; False when there is nothing to decide."""
        with self._writing() as database:
            found = database.execute(
                "UPDATE device SET decision=?, subject=?, scope=?, login_time=? WHERE user_code=? AND decision IS NULL AND expires>?",
                (decision, subject, scope, login_time, user_code, self.now()),
            )
            return found.rowcount == 1

    def use_device(self, device_code: str) -> bool:
        """Take an allowed device code for its one use."""
        with self._writing() as database:
            found = database.execute(
                "UPDATE device SET used=1 WHERE hash=? AND used=0 AND decision='allow' AND expires>?", (digest(device_code), self.now())
            )
            return found.rowcount == 1

    # Refresh tokens: each grant starts a family; each use replaces its token; a used one shown again ends the family

    def add_family(self, family: str, client: str, subject: str, scope: str, audience: str, login_time: int | None) -> None:
        """Start a family of refresh tokens with what the user granted."""
        row = {"id": family, "client": client, "subject": subject, "scope": scope, "audience": audience}
        with self._writing() as database:
            _insert(database, "family", {**row, "login_time": login_time, "expires": self.now() + FAMILY_LIFETIME_S})

    def add_refresh(self, family: str) -> str:
        """A new refresh token of a family."""
        token = secrets.token_urlsafe(32)
        with self._writing() as database:
            _insert(database, "refresh", {"hash": digest(token), "family": family})
        return token

    def refresh(self, token: str) -> dict[str, Any] | None:
        """The family's row with `used` of this token; None for unknown ones."""
        return self._one("SELECT family.*, used FROM refresh JOIN family ON family.id=family WHERE hash=?", digest(token))

    def use_refresh(self, token: str) -> bool:
        """Take a refresh token for its one use; False, and the family is revoked, when it was used before."""
        with self._writing() as database:
            found = database.execute(
                "UPDATE refresh SET used=1 WHERE hash=? AND used=0 AND family IN (SELECT id FROM family WHERE revoked=0 AND expires>?)",
                (digest(token), self.now()),
            )
            if found.rowcount == 1:
                return True
            row = database.execute("SELECT family FROM refresh WHERE hash=?", (digest(token),)).fetchone()
            if row:
                _revoke(database, row["family"])
        return False

    def revoke_family(self, family: str) -> None:
        """End a family: its refresh tokens and every access token it gave out."""
        with self._writing() as database:
            _revoke(database, family)

    # Access tokens

    def add_issued(self, jti: str, family: str, expires: int) -> None:
        """Remember which family an access token came from, until it runs out."""
        with self._writing() as database:
            _insert(database, "issued", {"jti": jti, "family": family, "expires": expires})

    def revoke(self, jti: str, expires: int) -> None:
        """Mark one access token revoked."""
        with self._writing() as database:
            database.execute("INSERT OR IGNORE INTO revoked VALUES(?,?)", (jti, expires))

    def is_revoked(self, jti: str) -> bool:
        """Whether an access token was revoked, alone or with its family."""
        return self._one("SELECT 1 FROM revoked WHERE jti=?", jti) is not None

    # Log-ins

    def add_login(self, person: str) -> str:
        """A new browser session of a person who just proved who they are."""
        session = secrets.token_urlsafe(32)
        now = self.now()
        with self._writing() as database:
            _insert(database, "login", {"hash": digest(session), "person": person, "time": now, "expires": now + LOGIN_LIFETIME_S})
        return session

    def login(self, session: str) -> dict[str, Any] | None:
        """The row of a living browser session."""
        return self._one("SELECT * FROM login WHERE hash=? AND expires>?", digest(session), self.now())

    def remove_login(self, session: str) -> None:
        """End a browser session."""
        with self._writing() as database:
            database.execute("DELETE FROM login WHERE hash=?", (digest(session),))

    # Throttle

    def add_failure(self, what: str) -> None:
        """Count a failed try at `what`."""
        with self._writing() as database:
            _insert(database, "failure", {"what": what, "time": self.now()})

    def wait_for(self, what: str) -> int:
        """Seconds until `what` may be tried again; 0 when it may now."""
        now = self.now()
        row = self._one("SELECT count(*) n, min(time) first FROM failure WHERE what=? AND time>?", what, now - FAILURE_WINDOW_S)
        return int(row["first"]) + FAILURE_WINDOW_S - now if row and row["n"] >= FAILURES_ALLOWED else 0

    def clear_failures(self, what: str) -> None:
        """Forget the failures at `what`."""
        with self._writing() as database:
            database.execute("DELETE FROM failure WHERE what=?", (what,))


def _insert(database: sqlite3.Connection, table: str, row: dict[str, object]) -> None:
    columns, marks = ",".join(row), ",".join("?" * len(row))
    database.execute(f"INSERT INTO {table}({columns}) VALUES({marks})", tuple(row.values()))


def _revoke(database: sqlite3.Connection, family: str) -> None:
    database.execute("UPDATE family SET revoked=1 WHERE id=?", (family,))
    database.execute("INSERT OR IGNORE INTO revoked SELECT jti, expires FROM issued WHERE family=?", (family,))
