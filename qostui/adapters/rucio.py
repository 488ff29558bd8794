"""Reading from Rucio: calls and streams of one connection, decoded and checked line by line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import lru_cache
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
            http.abort()

    def _ready(self, cancel: Cancel) -> tuple[Any, OriginSession]:
        with self._lock:
            client, http = self._client, self._http
        cancel.closes(self.abandon)
        if client is not None and http is not None:
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
        """The objects of a streamed answer, as they come; raises Problem after what came when it breaks off or makes no sense."""
        response = self._get(path, params, cancel)
        host = host_text(self.profile.rucio_host)
        content_type = response.headers.get("Content-Type", "")
        with closing(response):
            if not content_type.startswith((STREAM, "application/json")):
                with errors.translated(self.profile.rucio_host):
                    body = response.raw.read(400, decode_content=True)
                raise _nonsense(host, content_type, body)
            for count, line in enumerate(self._lines(response, host, cancel), 1):
                try:
                    decoded = json.loads(line)
                except ValueError:
                    raise _nonsense(host, f"line {count}", line) from None
                if not isinstance(decoded, dict):
                    raise _nonsense(host, f"line {count}", line)
                if "ExceptionClass" in decoded:
                    raise errors.from_rucio(str(decoded["ExceptionClass"]), str(decoded.get("ExceptionMessage", "")), 200, host)
                yield decoded

    def _lines(self, response: Any, host: str, cancel: Cancel) -> Iterator[bytes]:
        rest = b""
        chunks = iter(response.iter_content(CHUNK_BYTES))
        while True:
            if not cancel.wanted:
                raise Cancelled
            try:
                with errors.translated(self.profile.rucio_host):
                    chunk = next(chunks, None)
            except Problem:
                if not cancel.wanted:
                    raise Cancelled from None
                raise
            if chunk is None:
                break
            lines = (rest + chunk).split(b"\n") if rest else chunk.split(b"\n")
            rest = lines.pop()
            if len(rest) > MAX_LINE_BYTES:
                raise _nonsense(host, "a line without an end", rest[:200])
            yield from filter(None, lines)
        if rest.strip():
            # Rucio ends each line; without an end of chunks (HTTP/1.0, some front ends) this is how a cut shows.
            try:
                json.loads(rest)
            except ValueError:
                raise ConnectionProblem(f"the answer of Rucio at {host} broke off", step="the console goes on trying") from None
            yield rest


def _nonsense(host: str, where: str, body: bytes) -> Problem:
    kind = "an HTML page" if b"<html" in body[:400].lower() or b"<!doctype" in body[:400].lower() else "something else"
    detail = errors.safe_detail(f"{where}: {body[:300].decode('utf-8', 'replace')}")
    return ServerProblem(
        f"{host} answers {kind} instead of Rucio's JSON",
        detail=detail,
        step="is rucio_host right? a proxy or a portal may answer in its place",
    )


T = TypeVar("T")


def batches(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    """The rows in lists of `size`; what came before a failure is handed out before it is raised."""
    batch: list[T] = []
    try:
        for row in rows:
            batch.append(row)
            if len(batch) >= size:
                yield batch
                batch = []
    except Problem:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def quoted(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")


@lru_cache(maxsize=4096)
def moment(value: str | None) -> datetime | None:
    """`Sun, 22 Nov 2026 19:25:34 UTC` (or ISO 8601 as FTS writes it) as an aware time; None for anything else."""
    if not value:
        return None
    try:
        if value[3:5] == ", ":
            day, month, year, clock = value[5:7], value[8:11], value[12:16], value[17:25]
            return datetime(int(year), _MONTHS[month], int(day), int(clock[:2]), int(clock[3:5]), int(clock[6:8]), tzinfo=UTC)
        parsed = datetime.fromisoformat(value)
        return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (ValueError, KeyError):
        return None


def rucio_date(at: datetime) -> str:
    """A time as Rucio's filters want it, in English whatever the locale."""
    at = at.astimezone(UTC)
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    month = next(name for name, number in _MONTHS.items() if number == at.month)
    return f"{days[at.weekday()]}, {at.day:02d} {month} {at.year} {at:%H:%M:%S} UTC"


def text(value: object) -> str | None:
    """A text field that may be missing."""
    return None if value is None else str(value)


def number(value: object) -> int | None:
    """A whole number that may be missing; anything else counts as missing."""
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
