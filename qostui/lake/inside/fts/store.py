"""Jobs, files, retries, bans and link settings of the stand-in, in one SQLite file that survives a restart.

All writes go through one connection behind a lock; each public method is one transaction. Times are epoch seconds
going in, and are kept the way FTS shows them (UTC text). Standard library only.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import shapes, states
from .submission import Refused, Submission

KEPT_SECONDS = 7 * 86400
_JSON = frozenset({"job_metadata", "file_metadata", "staging_metadata", "archive_metadata"})
_OURS = ("source_end", "dest_end", "transferred", "not_before")
"""Columns of a file that no answer shows by itself: endpoints, bytes so far, earliest next try or poll (epoch)."""

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS jobs ({", ".join(name + (" TEXT PRIMARY KEY" if name == "job_id" else "") for name in shapes.JOB_FIELDS)});
CREATE TABLE IF NOT EXISTS files (
    {", ".join(name + (" INTEGER PRIMARY KEY AUTOINCREMENT" if name == "file_id" else "") for name in (*shapes.FILE_FIELDS, *_OURS))}
);
CREATE INDEX IF NOT EXISTS files_by_job ON files (job_id);
CREATE INDEX IF NOT EXISTS files_by_state ON files (file_state);
CREATE INDEX IF NOT EXISTS jobs_by_finish ON jobs (job_finished);
CREATE TABLE IF NOT EXISTS retries (file_id, attempt, datetime, reason, transfer_host, log_file);
CREATE INDEX IF NOT EXISTS retries_by_file ON retries (file_id);
CREATE TABLE IF NOT EXISTS bans (kind, name, vo, status, message, admin_dn, addition_time, wait_until, PRIMARY KEY (kind, name));
CREATE TABLE IF NOT EXISTS settings (kind, name, document, PRIMARY KEY (kind, name));
"""
_OF_JOB = (
    "job_type", "user_dn", "cred_id", "retry", "retry_delay", "overwrite_flag", "verify_checksum", "bring_online", "copy_pin_lifetime",
    "archive_timeout", "dst_file_report", "internal_job_params",
)  # fmt: skip
_FOLLOWED = "SELECT job_type, job_state, job_finished, bring_online, copy_pin_lifetime FROM jobs WHERE job_id = ?"
_FEW = 8
"""Files of one link a plan looks at: more than may run at a time."""
_FILE_DEFAULTS: Mapping[str, Any] = {"file_state_initial": "", "retry": 0, "recoverable": 0, "log_debug": 0, "not_before": 0}
_JOB_DEFAULTS: Mapping[str, Any] = {"cancel_job": 0}
Row = dict[str, Any]


class Store:
    """The database; open it in the process that uses it (SQLite connections do not survive a fork)."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, timeout=30, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[Row]:
        with self._lock:
            return [_row(each) for each in self._connection.execute(query, values).fetchall()]

    # -- jobs ------------------------------------------------------------------------------------------------------

    def add(self, submission: Submission) -> None:
        """Put a new job in; raises Refused 409 when its deterministic id is taken."""
        with self._transaction() as connection:
            try:
                _insert(connection, "jobs", {**_JOB_DEFAULTS, **submission.job})
            except sqlite3.IntegrityError as error:
                raise Refused(409, "The sid provided by the user is duplicated") from error
            for file in submission.files:
                _insert(connection, "files", {**_FILE_DEFAULTS, **file})

    def job(self, job_id: str) -> Row | None:
        """One job, or None."""
        found = self._rows("SELECT * FROM jobs WHERE job_id = ?", (job_id,))
        return found[0] if found else None

    def jobs(
        self, *, equal: Mapping[str, Any], state_in: Sequence[str] = (), window: float | None = None, limit: int | None = None
    ) -> list[Row]:
        """Jobs by filters, as FTS's GET /jobs reads them.

        Without states: those that have not ended. With states and neither window nor limit: the same; a window (in
        seconds) asks for those that ended in it, a limit for the newest.
        """
        wheres, values = [], []
        for name, value in equal.items():
            wheres.append(f"{name} = ?")
            values.append(value)
        if state_in:
            wheres.append(f"job_state IN ({_marks(state_in)})")
            values += state_in
        if not state_in or (limit is None and window is None):
            wheres.append("job_finished IS NULL")
        elif window is not None:
            wheres.append("job_finished >= ?")
            values.append(shapes.utc(time.time() - window))
        end = ""
        if limit is not None:
            end = " LIMIT ?"
            values.append(limit)
        return self._rows(f"SELECT * FROM jobs WHERE {' AND '.join(wheres) or '1'} ORDER BY submit_time DESC, rowid DESC{end}", values)

    def files_of(self, job_id: str) -> list[Row]:
        """The files of a job, in the order in which they were put in."""
        return self._rows("SELECT * FROM files WHERE job_id = ? ORDER BY file_id", (job_id,))

    def file(self, file_id: int) -> Row | None:
        """One file, or None."""
        found = self._rows("SELECT * FROM files WHERE file_id = ?", (file_id,))
        return found[0] if found else None

    def files(self, *, equal: Mapping[str, Any], state_in: Sequence[str] = (), since: float | None = None, limit: int = 1000) -> list[Row]:
        """Files by filters, newest first; `since` (epoch) keeps those that ended later or have not ended."""
        wheres = [f"files.{name} = ?" for name in equal]
        values = list(equal.values())
        if state_in:
            wheres.append(f"file_state IN ({_marks(state_in)})")
            values += state_in
        if since is not None:
            wheres.append("(finish_time IS NULL OR finish_time >= ?)")
            values.append(shapes.utc(since))
        return self._rows(f"SELECT * FROM files WHERE {' AND '.join(wheres) or '1'} ORDER BY file_id DESC LIMIT ?", [*values, limit])

    def retries_of(self, file_id: int) -> list[Row]:
        """Earlier attempts of a file, oldest first."""
        return self._rows("SELECT * FROM retries WHERE file_id = ? ORDER BY attempt", (file_id,))

    def owner_of_file(self, file_id: int) -> Row | None:
        """The job a file belongs to."""
        found = self._rows("SELECT jobs.* FROM jobs JOIN files USING (job_id) WHERE file_id = ?", (file_id,))
        return found[0] if found else None

    def set_priority(self, job_id: str, priority: int) -> None:
        """Give a job and its files another priority."""
        with self._transaction() as connection:
            connection.execute("UPDATE jobs SET priority = ? WHERE job_id = ?", (priority, job_id))
            connection.execute("UPDATE files SET priority = ? WHERE job_id = ?", (priority, job_id))

    # -- the queue -------------------------------------------------------------------------------------------------

    def waiting(self, state_in: Sequence[str], *, due: float | None = None) -> list[Row]:
        """Files in one of the states with what their job says about them (`of_*` columns), best first.

        With `due` (epoch) only those whose time has come, and of each link only the first few: a plan needs no more.
        """
        columns = ", ".join(f"jobs.{name} AS of_{name}" for name in _OF_JOB)
        values: list[Any] = list(state_in)
        where = f"file_state IN ({_marks(state_in)})"
        if due is not None:
            where += " AND not_before <= ?"
            values.append(due)
        rank = "row_number() OVER (PARTITION BY file_state, source_end, dest_end, source_se, dest_se ORDER BY priority DESC, file_id)"
        few = f" WHERE rank <= {_FEW}" if due is not None else ""
        return self._rows(
            f"SELECT ranked.*, {columns} FROM (SELECT *, {rank} AS rank FROM files WHERE {where}) AS ranked JOIN jobs USING (job_id){few}"
            " ORDER BY ranked.priority DESC, file_id",
            values,
        )

    def overdue(self, now: float) -> list[str]:
        """Jobs that wanted to wait no longer than until now and have files that have not started."""
        rows = self._rows(
            "SELECT DISTINCT job_id FROM jobs JOIN files USING (job_id) WHERE job_finished IS NULL AND max_time_in_queue < ?"
            " AND file_state IN ('SUBMITTED', 'STAGING', 'ON_HOLD', 'ON_HOLD_STAGING')",
            (now,),
        )
        return [row["job_id"] for row in rows]

    def queued(self, source_end: str, dest_end: str) -> int:
        """How many files wait or run between two endpoints."""
        found = self._rows(
            "SELECT count(*) AS n FROM files WHERE source_end = ? AND dest_end = ? AND file_state IN ('SUBMITTED', 'READY', 'ACTIVE')",
            (source_end, dest_end),
        )
        return int(found[0]["n"])

    def change(self, file_id: int, expected: Iterable[str], **columns: Any) -> bool:
        """Change a file if it is still in one of the `expected` states, and let its job follow; else False.

        This is the only way a file's state changes, so a cancelled file stays cancelled whatever its worker reports.
        """
        states_in = list(expected)
        with self._transaction() as connection:
            assignments = ", ".join(f"{name} = ?" for name in columns)
            done = connection.execute(
                f"UPDATE files SET {assignments} WHERE file_id = ? AND file_state IN ({_marks(states_in)})",
                [*(_stored(name, value) for name, value in columns.items()), file_id, *states_in],
            ).rowcount
            if done and "file_state" in columns:
                row = connection.execute("SELECT job_id FROM files WHERE file_id = ?", (file_id,)).fetchone()
                self._follow(connection, row["job_id"])
        return bool(done)

    def progress(self, file_id: int, transferred: int, throughput: float) -> None:
        """Note how far an active transfer is."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE files SET transferred = ?, throughput = ? WHERE file_id = ? AND file_state = 'ACTIVE'",
                (transferred, throughput, file_id),
            )

    def try_again(self, file: Mapping[str, Any], reason: str, log_file: str | None, host: str, not_before: float) -> bool:
        """Put a failed attempt of an active file on record and the file back into the queue; False if it moved on."""
        attempt = file["retry"] + 1
        with self._transaction() as connection:
            done = connection.execute(
                "UPDATE files SET file_state = 'SUBMITTED', retry = ?, reason = ?, not_before = ?, start_time = NULL, pid = NULL"
                " WHERE file_id = ? AND file_state IN ('ACTIVE', 'READY')",
                (attempt, reason, not_before, file["file_id"]),
            ).rowcount
            if done:
                values = {"file_id": file["file_id"], "attempt": attempt, "datetime": shapes.utc(time.time()), "reason": reason}
                _insert(connection, "retries", {**values, "transfer_host": host, "log_file": log_file})
                self._follow(connection, file["job_id"])
        return bool(done)

    def cancel_files(self, job_id: str, file_ids: Sequence[int] | None, reason: str = states.CANCELED_BY_USER) -> list[int]:
        """Cancel open (or not yet used) files of a job, all or some; the ids of those that changed.

        Cancelling all cancels the job, whatever has already finished (as FTS's DELETE /jobs/<id> does).
        """
        now = shapes.utc(time.time())
        with self._transaction() as connection:
            rows = connection.execute("SELECT file_id, file_state FROM files WHERE job_id = ?", (job_id,)).fetchall()
            chosen = [row for row in rows if (file_ids is None or row["file_id"] in file_ids) and row["file_state"] in states.FILE_OPEN]
            for row in chosen:
                finish = None if row["file_state"] == states.ACTIVE else now
                connection.execute(
                    "UPDATE files SET file_state = 'CANCELED', reason = ?, finish_time = ? WHERE file_id = ?",
                    (reason, finish, row["file_id"]),
                )
            if file_ids is None:
                connection.execute(
                    "UPDATE jobs SET job_state = 'CANCELED', cancel_job = 1, job_finished = ?, reason = ?"
                    " WHERE job_id = ? AND job_finished IS NULL",
                    (now, reason, job_id),
                )
            else:
                self._follow(connection, job_id)
        return [row["file_id"] for row in chosen]

    def _follow(self, connection: sqlite3.Connection, job_id: str) -> None:
        """Let the next hop or source start, then the job's state follow from its files'."""
        job = connection.execute(_FOLLOWED, (job_id,)).fetchone()
        files = connection.execute("SELECT file_id, file_state FROM files WHERE job_id = ? ORDER BY file_id", (job_id,)).fetchall()
        next_id = states.next_in_line(job["job_type"], [dict(file) for file in files])
        if next_id is not None:
            staged = job["job_type"] == states.REPLICAS and max(job["bring_online"], job["copy_pin_lifetime"]) > 0
            state = states.STAGING if staged else states.SUBMITTED
            connection.execute("UPDATE files SET file_state = ? WHERE file_id = ?", (state, next_id))
            files = connection.execute("SELECT file_id, file_state FROM files WHERE job_id = ? ORDER BY file_id", (job_id,)).fetchall()
        if job["job_finished"] is not None:
            return
        state = states.job_state(job["job_type"], job["job_state"], [file["file_state"] for file in files])
        finished = shapes.utc(time.time()) if state in states.JOB_FINAL else None
        connection.execute(
            "UPDATE jobs SET job_state = ?, reason = ?, job_finished = ? WHERE job_id = ?",
            (state, states.job_reason(state), finished, job_id),
        )

    def recover(self) -> list[int]:
        """After a start: put back what was active when the last process ended; the ids put back.

        A file that may not be overwritten fails instead: what the dead transfer left would only look like success.
        """
        back: list[int] = []
        for file in self.waiting((states.ACTIVE, states.READY)):
            file_id = file["file_id"]
            if file["of_overwrite_flag"] == "Y" or file["file_state"] == states.READY:
                if self.change(file_id, (states.ACTIVE, states.READY), file_state=states.SUBMITTED, start_time=None, pid=None):
                    back.append(file_id)
            else:
                self.change(
                    file_id, (states.ACTIVE,), file_state=states.FAILED, reason="TRANSFER [4] Transfer process died", recoverable=1,
                    finish_time=shapes.utc(time.time()),
                )  # fmt: skip
        for file in self.waiting((states.STARTED,)):
            if not file["bringonline_token"]:
                self.change(file["file_id"], (states.STARTED,), file_state=states.STAGING)
        return back

    def prune(self, now: float) -> list[str]:
        """Forget jobs that ended more than a week ago; the log files that go with them."""
        before = shapes.utc(now - KEPT_SECONDS)
        old = "SELECT job_id FROM jobs WHERE job_finished < ?"
        with self._transaction() as connection:
            found = connection.execute(f"SELECT log_file FROM files WHERE log_file IS NOT NULL AND job_id IN ({old})", (before,))
            logs = [row["log_file"] for row in found]
            connection.execute(f"DELETE FROM retries WHERE file_id IN (SELECT file_id FROM files WHERE job_id IN ({old}))", (before,))
            connection.execute(f"DELETE FROM files WHERE job_id IN ({old})", (before,))
            connection.execute("DELETE FROM jobs WHERE job_finished < ?", (before,))
        return logs

    def tokens_in_use(self) -> set[str]:
        """Ids of tokens that files which have not ended still need."""
        ended = sorted(states.FILE_FINAL - {states.NOT_USED})
        rows = self._rows(f"SELECT src_token_id, dst_token_id FROM files WHERE file_state NOT IN ({_marks(ended)})", ended)
        return {token for row in rows for token in row.values() if token}

    # -- bans and settings -----------------------------------------------------------------------------------------

    def ban(self, kind: str, name: str, **columns: Any) -> None:
        """Ban a storage (`se`) or a user (`dn`)."""
        values = {"kind": kind, "name": name, "addition_time": shapes.utc(time.time()), **columns}
        with self._transaction() as connection:
            connection.execute("DELETE FROM bans WHERE kind = ? AND name = ?", (kind, name))
            _insert(connection, "bans", values)

    def unban(self, kind: str, name: str) -> bool:
        """Lift a ban; False when there was none."""
        with self._transaction() as connection:
            return connection.execute("DELETE FROM bans WHERE kind = ? AND name = ?", (kind, name)).rowcount > 0

    def bans(self, kind: str) -> list[Row]:
        """All bans of a kind."""
        return self._rows("SELECT * FROM bans WHERE kind = ? ORDER BY addition_time", (kind,))

    def set_setting(self, kind: str, name: str, document: object) -> None:
        """Keep one settings document (`se` or `link`)."""
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?, ?)", (kind, name, json.dumps(document)))

    def settings(self, kind: str) -> dict[str, Any]:
        """All settings documents of a kind by name."""
        rows = self._rows("SELECT name, document FROM settings WHERE kind = ? ORDER BY name", (kind,))
        return {row["name"]: json.loads(row["document"]) for row in rows}


def _insert(connection: sqlite3.Connection, table: str, values: Mapping[str, Any]) -> None:
    connection.execute(
        f"INSERT INTO {table} ({', '.join(values)}) VALUES ({_marks(values)})", [_stored(name, value) for name, value in values.items()]
    )


def _stored(name: str, value: Any) -> Any:
    return json.dumps(value) if name in _JSON and value is not None else value


def _row(row: sqlite3.Row) -> Row:
    return {name: json.loads(row[name]) if name in _JSON and row[name] is not None else row[name] for name in row.keys()}  # noqa: SIM118  # sqlite3.Row iterates values


def _marks(values: Iterable[Any]) -> str:
    return ", ".join("?" for _ in values)
