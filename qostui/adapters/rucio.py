"""Reading from Rucio: calls and streams of one connection, decoded and checked line by line."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from ..domain.errors import ConnectionProblem, Problem, ServerProblem
from ..domain.profile import Profile, host_text
from ..services.feeds import Cancel, Cancelled
from . import errors
from .http import OriginSession
from .rucio_session import TokenBox, client_class, verification

STREAM = "application/x-json-stream"
CHUNK_BYTES = 65536
FLUSH_S = 0.05
"""Rows do not wait longer than that for others, as long as some come."""
MAX_LINE_BYTES = 8 << 20
_MONTHS = {
    name: number for number, name in enumerate(("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1)
}


class Connection:
    """One thread's connection to one Rucio; connects and logs in at the first call, in the lane that makes it."""

    def __init__(self, profile: Profile, box: TokenBox, runtime_dir: Path) -> None:
        self.profile = profile
        self._box = box
        self._runtime_dir = runtime_dir
        self._lock = Lock()
        self._http: OriginSession | None = None
        self._client: Any = None
        self.offset = timedelta()

    def abandon(self) -> None:
        """Break off a call under way; the next call makes a new connection."""
        with self._lock:
            http, self._http, self._client = self._http, None, None
        if http is not None:
            http.end()

    def _ready(self, cancel: Cancel) -> tuple[Any, OriginSession]:
        with self._lock:
            client, http = self._client, self._http
        cancel.closes(self.abandon)
        if client is not None and http is not None:
            client.look_again()
            return client, http
        profile = self.profile
        http = OriginSession((profile.rucio_host, profile.login_host), verification(profile))
        with self._lock:
            self._http = http
        with errors.translated(profile.login_host):
            client = client_class(self._runtime_dir)(profile, http, self._box)
        with self._lock:
            if self._http is http:
                self._client = client
        return client, http

    def _get(self, path: str, params: dict[str, str], cancel: Cancel) -> Any:
        if not cancel.wanted:
            raise Cancelled
        client, http = self._ready(cancel)
        from rucio.common.constants import HTTPMethod

        host = self.profile.rucio_host.rstrip("/")
        query = f"?{urlencode(params)}" if params else ""
        with errors.translated(host):
            response = client._send_request(f"{host}/{path}{query}", method=HTTPMethod.GET, stream=True)
        self.offset = http.clock_offset
        if response.status_code == 200:
            return response
        with closing(response), errors.translated(host):
            body = response.content[:16384]  # rucio-clients has read it already, for its debug log
        raise errors.from_status(response.status_code, response.headers, body, host_text(host))

    def session_token(self) -> str:
        """The token that the last call went with; "" before the first one."""
        with self._lock:
            return str(getattr(self._client, "auth_token", None) or "")

    def document(self, path: str, cancel: Cancel, **params: str) -> Any:
        """A JSON answer; raises Problem."""
        response = self._get(path, params, cancel)
        host = host_text(self.profile.rucio_host)
        with closing(response), errors.translated(self.profile.rucio_host):
            body = response.content
        try:
            return json.loads(body)
        except ValueError:
            raise _nonsense(host, response.headers.get("Content-Type", ""), body) from None

    def stream(self, path: str, cancel: Cancel, **params: str) -> Iterator[dict[str, Any]]:
        """The objects of a streamed answer, as they come; raises Problem after what came when it breaks off or makes no sense.

        Closing this generator closes the answer at once; the next call works on a connection of its own.
        """
        response = self._get(path, params, cancel)
        host = host_text(self.profile.rucio_host)
        content_type = response.headers.get("Content-Type", "")
        with closing(response):
            if not content_type.startswith((STREAM, "application/json")):
                with errors.translated(self.profile.rucio_host):
                    body = response.raw.read(400, decode_content=True)
                raise _nonsense(host, content_type, body)
            for count, line in enumerate(self._lines(response, host, cancel), 1):
                document = _document(line)
                if document is None:
                    raise _nonsense(host, f"line {count}", line)
                if "ExceptionClass" in document:
                    raise errors.from_rucio(str(document["ExceptionClass"]), str(document.get("ExceptionMessage", "")), 200, host)
                yield document

    def _lines(self, response: Any, host: str, cancel: Cancel) -> Iterator[bytes]:
        rest = b""
        # One try for the whole answer: Rucio sends each row as a chunk, and entering a block for each costs more than the row.
        try:
            for chunk in response.iter_content(CHUNK_BYTES):
                if not cancel.wanted:
                    raise Cancelled
                lines = (rest + chunk if rest else chunk).split(b"\n")
                rest = lines.pop()
                if len(rest) > MAX_LINE_BYTES:
                    raise _nonsense(host, "a line without an end", rest[:200])
                for line in lines:
                    if line:
                        yield line
        except (Cancelled, Problem):
            raise
        except Exception as error:
            if not cancel.wanted:
                raise Cancelled from None
            raise errors.translate(error, self.profile.rucio_host) from None
        if not cancel.wanted:
            raise Cancelled
        if rest.strip():
            # Rucio ends each line; without an end of chunks (HTTP/1.0, some front ends) this is how a cut shows.
            if _document(rest) is None:
                raise ConnectionProblem(f"the answer of Rucio at {host} broke off", step="the console goes on trying")
            yield rest


_scan = json.JSONDecoder().raw_decode


def _document(line: bytes) -> dict[str, Any] | None:
    """The object in one line; None when there is none."""
    try:
        # json.loads guesses the encoding of bytes and looks for blanks around: a third of its time, for lines without either.
        text = line.decode()
        decoded, end = _scan(text)
        if end != len(text):
            decoded = json.loads(text)
    except ValueError:
        try:
            decoded = json.loads(line)
        except ValueError:
            return None
    return decoded if isinstance(decoded, dict) else None


def _nonsense(host: str, where: str, body: bytes) -> Problem:
    kind = "an HTML page" if b"<html" in body[:400].lower() or b"<!doctype" in body[:400].lower() else "something else"
    detail = errors.safe_detail(f"{where}: {body[:300].decode('utf-8', 'replace')}")
    return ServerProblem(
        f"{host} answers {kind} instead of Rucio's JSON",
        detail=detail,
        step="is rucio_host right? a proxy or a portal may answer in its place",
    )


T = TypeVar("T")


def batches(rows: Iterable[T], size: int, first: int = 0, clock: Callable[[], float] = time.monotonic) -> Generator[list[T], None, None]:
    """The rows in lists of `size`; what came before a failure is handed out before it is raised.

    With `first`, a list of so many comes first and each next one has twice as many, and what has waited for FLUSH_S goes with
    the next row: rows that trickle are shown, rows that pour in come in few lists.
    """
    batch: list[T] = []
    wanted, handed_out = first or size, clock()
    try:
        for row in rows:
            batch.append(row)
            if len(batch) >= wanted or (first and clock() - handed_out >= FLUSH_S):
                yield batch
                batch, wanted = [], min(wanted * 2, size)
                handed_out = clock() if first else handed_out
    except Problem:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def quoted(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")


class Shared(dict[Any, T]):
    """Plain values of Rucio's answers as the console wants them; equal ones are one object, and looked at once.

    `shared[value]` is `read(value)`. Reading a known value never enters Python code. Forgets all when `limit` are known,
    so that texts that never come again cost no memory. Raises TypeError for lists and objects.
    """

    def __init__(self, read: Callable[[Any], T], limit: int) -> None:
        super().__init__()
        self._read = read
        self._limit = limit

    def __missing__(self, value: Any) -> T:
        made = self._read(value)
        if type(value) is str or type(value) is int or value is None:  # True and 1.0 are equal to 1, but not the same
            if len(self) >= self._limit:
                self.clear()
            self[value] = made
        return made


def _read_moment(value: Any) -> datetime | None:
    if not isinstance(value, str) or not value:
        return None
    try:
        if value[3:5] == ", ":
            return datetime.fromisoformat(_days[value[5:16]] + value[17:25] + "Z")
        parsed = datetime.fromisoformat(value)
        return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (ValueError, KeyError):
        return None


def _read_day(value: str) -> str:
    return f"{value[7:11]}-{_MONTHS[value[3:6]]:02d}-{value[:2]}T"


_days = Shared(_read_day, 4096)
"""`22 Nov 2026` -> `2026-11-22T`: datetime reads ISO 8601 four times as fast as we put a moment together from numbers."""
_moments = Shared(_read_moment, 1024)
"""Rows made in one go bear the same moment, and stand beside each other in an answer."""


def moment(value: object) -> datetime | None:
    """`Sun, 22 Nov 2026 19:25:34 UTC` (or ISO 8601 as FTS writes it) as an aware time; None for anything else."""
    return _moments[value] if type(value) is str else None


def rucio_date(at: datetime) -> str:
    """A time as Rucio's filters want it, in English whatever the locale."""
    at = at.astimezone(UTC)
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    month = next(name for name, number in _MONTHS.items() if number == at.month)
    return f"{days[at.weekday()]}, {at.day:02d} {month} {at.year} {at:%H:%M:%S} UTC"


def text(value: object) -> str | None:
    """A text field that may be missing."""
    return value if type(value) is str else None if value is None else str(value)


def number(value: object) -> int | None:
    """A whole number that may be missing; anything else counts as missing."""
    if type(value) is int:
        return value
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return int(value)


def _read_word(value: Any) -> str:
    return "" if value is None else sys.intern(value) if type(value) is str else str(value)


words = Shared(_read_word, 4096)
"""Texts of which there are few (states, accounts, scopes, expressions); a missing one is the empty text."""
optional_words = Shared(text, 4096)
"""The same, where a missing one is None."""
sentences = Shared(text, 1024)
"""Errors and comments: many rows bear the same one, but there may be one for each row."""
counts = Shared(lambda value: number(value) or 0, 4096)
"""Numbers of locks, copies and retries; a missing one is 0."""
