"""What lies on tape only, what is on disk too, and who asked for it: one record for both roads to the tape storage.

The Tape REST API (tape_rest.py) uses `Shelf`; XRootD's prepare plug-in runs this module as a program:

    tape_stage --state DIRECTORY [-p N ...] -- REQUEST stage|query|evict|cancel PATH...

A new file is on disk only until it has been written to tape, then on tape only. Staging brings it back to disk for
good, or for the life-time that was asked for; release and evict send it back. Standard library only.
"""

from __future__ import annotations

import json
import posixpath
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import topology
from .state import State

STAGE_SECONDS = 4.0
"""From a stage request until the file is on disk."""
ARCHIVE_SECONDS = 2.0
"""From the last write until the file is on tape."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS staged (path TEXT PRIMARY KEY, online_at REAL NOT NULL, until REAL);
CREATE TABLE IF NOT EXISTS request (id TEXT PRIMARY KEY, owner TEXT NOT NULL, created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS wanted (request TEXT NOT NULL, path TEXT NOT NULL, cancelled REAL, PRIMARY KEY (request, path));
"""


@dataclass(frozen=True)
class Wanted:
    """One file of a stage request. `state` is SUBMITTED, STARTED, COMPLETED, CANCELLED or FAILED, as the REST API spells it."""

    path: str
    state: str
    on_disk: bool
    started: float
    finished: float | None
    error: str | None


@dataclass(frozen=True)
class Request:
    """A stage request; times are seconds since 1970."""

    id: str
    owner: str
    created: float
    files: tuple[Wanted, ...]


class Shelf:
    """The record of one tape storage, in SQLite: it survives restarts and is shared by several processes."""

    def __init__(self, database: Path, files: Path, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._files = files
        self._clock = clock
        database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._open() as connection:
            connection.executescript(_SCHEMA)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._database, timeout=10)) as connection, connection:
            yield connection

    def locality(self, path: str) -> str | None:
        """DISK (not on tape yet), TAPE or DISK_AND_TAPE; None when there is no such file."""
        with self._open() as connection:
            return self._locality(connection, path)

    def stage(self, request: str, owner: str, wanted: Iterable[tuple[str, float | None]]) -> None:
        """Note a request for (path, seconds to stay on disk or None); a file that is on its way keeps its time."""
        now = self._clock()
        with self._open() as connection:
            connection.execute("INSERT OR IGNORE INTO request VALUES (?, ?, ?)", (request, owner, now))
            for path, seconds in wanted:
                connection.execute("INSERT OR REPLACE INTO wanted VALUES (?, ?, NULL)", (request, path))
                if self._locality(connection, path) not in (None, "DISK"):
                    self._bring(connection, path, now, None if seconds is None else now + STAGE_SECONDS + seconds)

    def release(self, paths: Iterable[str]) -> None:
        """Let go of the disk copies."""
        with self._open() as connection:
            connection.executemany("DELETE FROM staged WHERE path = ?", [(path,) for path in paths])

    def cancel(self, request: str, paths: Iterable[str]) -> None:
        """Stop bringing files that are not on disk yet; what has arrived stays."""
        now = self._clock()
        with self._open() as connection:
            for path in paths:
                late = "UPDATE wanted SET cancelled = ? WHERE request = ? AND path = ? AND cancelled IS NULL"
                connection.execute(late, (now, request, path))
                connection.execute("DELETE FROM staged WHERE path = ? AND online_at > ?", (path, now))

    def forget(self, request: str) -> None:
        """Remove a request from the record."""
        with self._open() as connection:
            connection.execute("DELETE FROM wanted WHERE request = ?", (request,))
            connection.execute("DELETE FROM request WHERE id = ?", (request,))

    def request(self, identifier: str) -> Request | None:
        """A stage request as it stands now."""
        with self._open() as connection:
            found = connection.execute("SELECT owner, created FROM request WHERE id = ?", (identifier,)).fetchone()
            if found is None:
                return None
            owner, created = found
            rows = connection.execute("SELECT path, cancelled FROM wanted WHERE request = ? ORDER BY rowid", (identifier,)).fetchall()
            files = tuple(self._wanted(connection, path, cancelled, created) for path, cancelled in rows)
        return Request(identifier, owner, created, files)

    def _wanted(self, connection: sqlite3.Connection, path: str, cancelled: float | None, created: float) -> Wanted:
        where = self._locality(connection, path)
        on_disk = where in ("DISK", "DISK_AND_TAPE")
        row = connection.execute("SELECT online_at FROM staged WHERE path = ?", (path,)).fetchone()
        arrived = row[0] if row and on_disk else None
        if where is None:
            return Wanted(path, "FAILED", False, created, created, "no such file")
        if on_disk:
            return Wanted(path, "COMPLETED", True, created, arrived or created, None)
        if cancelled is not None:
            return Wanted(path, "CANCELLED", False, created, cancelled, None)
        if row is None:
            # It was here and has been let go: the request itself has ended.
            return Wanted(path, "COMPLETED", False, created, created, None)
        return Wanted(path, "STARTED", False, created, None, None)

    def _locality(self, connection: sqlite3.Connection, path: str) -> str | None:
        try:
            found = (self._files / path.lstrip("/")).stat()
        except OSError:
            return None
        now = self._clock()
        if now - found.st_mtime < ARCHIVE_SECONDS:
            return "DISK"
        row = connection.execute("SELECT online_at, until FROM staged WHERE path = ?", (path,)).fetchone()
        if row is None or row[0] > now or (row[1] is not None and row[1] <= now):
            return "TAPE"
        return "DISK_AND_TAPE"

    @staticmethod
    def _bring(connection: sqlite3.Connection, path: str, now: float, until: float | None) -> None:
        row = connection.execute("SELECT online_at, until FROM staged WHERE path = ?", (path,)).fetchone()
        if row is None or (row[1] is not None and row[1] <= now):
            connection.execute("INSERT OR REPLACE INTO staged VALUES (?, ?, ?)", (path, now + STAGE_SECONDS, until))
        else:
            longest = None if until is None or row[1] is None else max(until, row[1])
            connection.execute("UPDATE staged SET until = ? WHERE path = ?", (longest, path))


def tape_server() -> topology.Server:
    """The one storage server with a tape behind it."""
    return next(server for server in topology.SERVERS if server.tape)


def shelf(state: State) -> Shelf:
    """The record of the lake's tape storage."""
    return Shelf(state.live / "tape" / "tape.db", state.data(tape_server()))


def storage_path(text: str) -> str | None:
    """A path of the storage in one spelling; None when it is not below /data."""
    path = posixpath.normpath("/" + text.split("?", 1)[0].lstrip("/"))
    return path if path.startswith("/data/") and "\0" not in path else None


def main(arguments: list[str]) -> int:
    """What XRootD's prepare plug-in calls; the answer to `query` goes to stdout as JSON."""
    options, separator, rest = _split(arguments)
    if not separator or len(rest) < 2 or "--state" not in options:
        print("usage: tape_stage --state DIRECTORY -- REQUEST stage|query|evict|cancel PATH...", file=sys.stderr)
        return 2
    record = shelf(State(Path(options[options.index("--state") + 1])))
    request, action, *given = rest
    paths = [path for path in map(storage_path, given) if path is not None]
    if action in ("stage", "prep"):
        record.stage(request, "root", [(path, None) for path in paths])
    elif action == "evict":
        record.release(paths)
    elif action == "cancel":
        known = record.request(request)
        record.cancel(request, paths or [file.path for file in known.files] if known else paths)
    elif action == "query":
        print(json.dumps(_answer(record, request, given)))
    else:
        print(f"tape_stage: no action {action!r}", file=sys.stderr)
        return 2
    return 0


def _split(arguments: list[str]) -> tuple[list[str], bool, list[str]]:
    if "--" not in arguments:
        return arguments, False, []
    at = arguments.index("--")
    return arguments[:at], True, arguments[at + 1 :]


def _answer(record: Shelf, request: str, given: list[str]) -> dict[str, object]:
    """The query answer as XrdCl's prepare query and gfal2 read it."""
    known = record.request(request)
    asked = {file.path for file in known.files} if known else set()
    responses = []
    for text in given:
        path = storage_path(text)
        where = record.locality(path) if path else None
        responses.append(
            {
                "path": text.split("?", 1)[0],
                "path_exists": where is not None,
                "on_tape": where in ("TAPE", "DISK_AND_TAPE"),
                "online": where in ("DISK", "DISK_AND_TAPE"),
                "requested": path in asked,
                "has_reqid": path in asked,
                "req_time": str(int(known.created)) if known and path in asked else "",
                "error_text": "" if where else "file does not exist or is not accessible to you",
            }
        )
    return {"request_id": request, "responses": responses}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
