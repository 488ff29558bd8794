"""A Rucio that misbehaves on demand: loopback HTTP, one handler a path, every request recorded."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

STREAM = "application/x-json-stream"
TOKEN = "ops-ops-unknown-fc01c95de75d479fb32b1c4ed7c79fcc"
EXPIRES = "Fri, 22 Nov 2126 20:27:14 UTC"
CREATED = "Sun, 22 Nov 2026 19:25:34 UTC"


@dataclass
class Asked:
    """One request that arrived."""

    path: str
    query: dict[str, str]
    headers: Message


@dataclass
class FakeRucio:
    """The server's memory; tests change `rows` and `answers`."""

    port: int = 0
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Kind of row -> Rucio's JSON objects."""
    answers: dict[str, Callable[[Reply], None]] = field(default_factory=dict)
    """Path prefix -> what to do instead of answering well."""
    asked: list[Asked] = field(default_factory=list)
    refused_logins: int = 0
    """So many log-ins are refused first; -1: all."""
    ahead: timedelta = timedelta()
    """How far its clock is ahead of ours."""
    good_tokens: set[str] = field(default_factory=lambda: {TOKEN})

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def paths(self) -> list[str]:
        return [each.path for each in self.asked]


class Reply:
    """How a handler answers."""

    def __init__(self, handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        self.handler, self.asked = handler, asked

    def send(self, status: int = 200, body: bytes = b"", content_type: str = "application/json", **headers: str) -> None:
        """A whole answer."""
        self.start(status, content_type, length=len(body), **headers)
        self.handler.wfile.write(body)

    def start(self, status: int = 200, content_type: str = STREAM, length: int | None = None, **headers: str) -> None:
        """The head of an answer; chunked without a length."""
        self.handler.send_response(status)
        self.handler.send_header("Content-Type", content_type)
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.send_header(*(("Transfer-Encoding", "chunked") if length is None else ("Content-Length", str(length))))
        self.handler.end_headers()

    def chunk(self, data: bytes) -> None:
        """One chunk; the empty one ends the answer."""
        self.handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.handler.wfile.flush()

    def stream(self, rows: list[dict[str, Any]]) -> None:
        """A well-formed stream."""
        self.start()
        for row in rows:
            self.chunk(json.dumps(row).encode() + b"\n")
        self.chunk(b"")

    def cut(self) -> None:
        """Drop the connection as it is."""
        self.handler.wfile.flush()
        self.handler.close_connection = True
        self.handler.connection.shutdown(2)


def cut_after(rows: int) -> Callable[[Reply], None]:
    """A stream that dies with HTTP 200 after so many rows of rules."""

    def answer(reply: Reply) -> None:
        reply.start()
        for number in range(rows):
            reply.chunk(json.dumps(rule_json(f"{number:032x}")).encode() + b"\n")
        reply.chunk(b'{"id": "half of a li')
        reply.cut()

    return answer


def fails(status: int, body: bytes = b"", content_type: str = "text/html") -> Callable[[Reply], None]:
    """An answer with that status."""
    return lambda reply: reply.send(status, body, content_type)


def hangs(seconds: float) -> Callable[[Reply], None]:
    """One row, then silence."""

    def answer(reply: Reply) -> None:
        reply.start()
        reply.chunk(json.dumps(rule_json("0" * 32)).encode() + b"\n")
        time.sleep(seconds)

    return answer


class Endless:
    """A stream of rows without an end; knows when the client has hung up."""

    def __init__(self, state: str = "STUCK") -> None:
        self.state = state
        self.hung_up = threading.Event()

    def __call__(self, reply: Reply) -> None:
        """Rows until nobody takes them; other states have none."""
        letter = reply.asked.query.get("state", "")
        if letter != self.state[:1]:
            reply.stream([])
            return
        reply.start()
        number = 0
        try:
            while True:
                reply.chunk(json.dumps(rule_json(f"{number:032x}", self.state)).encode() + b"\n")
                number += 1
        except OSError:
            self.hung_up.set()


def one_by_one(more: threading.Event, rows: int = 1) -> Callable[[Reply], None]:
    """So many rows, then nothing until `more` is set, then one more."""

    def answer(reply: Reply) -> None:
        reply.start()
        for number in range(rows):
            reply.chunk(json.dumps(rule_json(f"{number:032x}")).encode() + b"\n")
        more.wait(20)
        reply.chunk(json.dumps(rule_json("f" * 32)).encode() + b"\n")
        reply.chunk(b"")

    return answer


def busy(status: int, **headers: str) -> Callable[[Reply], None]:
    """Too much to do."""
    return lambda reply: reply.send(status, b"<html>too much to do", "text/html", **headers)


def redirects(target: str) -> Callable[[Reply], None]:
    """Sends the client elsewhere."""
    return lambda reply: reply.send(302, b"", Location=target)


def rule_json(rule_id: str, state: str = "REPLICATING", **values: Any) -> dict[str, Any]:
    """A rule as Rucio 41.5.1 sends it."""
    return {
        "id": rule_id, "scope": "fair", "name": f"run.{rule_id[-4:]}",
        "did_type": "DATASET", "account": "fair", "state": state,
        "error": None, "rse_expression": "QOS=SAFE", "copies": 1, "locks_ok_cnt": 1, "locks_replicating_cnt": 2,
        "locks_stuck_cnt": 0, "bytes": 10**9,
        "activity": "User Subscriptions", "priority": 3, "comments": None, "created_at": CREATED, "updated_at": CREATED, "expires_at": None,
    } | values  # fmt: skip


def request_json(request_id: str, **values: Any) -> dict[str, Any]:
    """A request as Rucio 41.5.1 sends it."""
    return {
        "id": request_id, "state": "SUBMITTED", "request_type": "TRANSFER", "scope": "fair", "name": "f1",
        "source_rse": "A",
        "dest_rse": "B", "bytes": 10**6, "activity": "User Subscriptions", "account": "fair", "priority": 3,
        "retry_count": 0, "err_msg": None,
        "external_id": None, "external_host": None, "transfertool": None, "created_at": CREATED, "updated_at": CREATED,
    } | values  # fmt: skip


def rse_json(name: str, **values: Any) -> dict[str, Any]:
    """An RSE as the listing names it."""
    switches = {"availability_read": True, "availability_write": True, "availability_delete": True}
    return {"rse": name, "rse_type": "DISK", "deterministic": True, "volatile": False, "staging_area": False} | switches | values


def answer_well(fake: FakeRucio, reply: Reply) -> None:
    """What a healthy Rucio says."""
    path, query = reply.asked.path, reply.asked.query
    if path == "/auth/userpass":
        if fake.refused_logins:
            fake.refused_logins -= 1
            refusal = {
                "ExceptionClass": "CannotAuthenticate",
                "ExceptionMessage": "Cannot authenticate to account ops with given credentials",
            }
            reply.send(401, json.dumps(refusal).encode(), "application/octet-stream", **refusal)
        else:
            fake.good_tokens.add(TOKEN)
            reply.send(200, X_Rucio_Auth_Token=TOKEN, X_Rucio_Auth_Token_Expires=EXPIRES)
    elif path.startswith("/jobs/"):
        # FTS: it hears no Rucio token.
        known = "X-Rucio-Auth-Token" not in reply.asked.headers
        reply.send(200 if known else 400, json.dumps(fake.rows.get("jobs", [])).encode())
    elif reply.asked.headers.get("X-Rucio-Auth-Token") not in fake.good_tokens:
        reply.send(401, b'{"ExceptionClass": "CannotAuthenticate", "ExceptionMessage": "Cannot authenticate with given credentials"}')
    elif path == "/accounts/whoami":
        reply.send(308, Location="/accounts/whoami/")
    elif path == "/accounts/whoami/":
        reply.send(200, json.dumps({"account": "ops", "status": "ACTIVE"}).encode())
    elif path == "/rules/":
        letters = {"S": "STUCK", "U": "SUSPENDED", "W": "WAITING_APPROVAL", "I": "INJECT", "R": "REPLICATING", "O": "OK"}
        rules = fake.rows.get("rules", [])
        reply.stream([row for row in rules if "state" not in query or row["state"] == letters[query["state"]]])
    elif path == "/rses/":
        reply.stream(fake.rows.get("rses", []))
    elif path.startswith("/rses/"):
        _one_rse(fake, reply, path.split("/")[2], path.split("/")[3:])
    elif path == "/requests/metrics":
        reply.stream(fake.rows.get("metrics", []))
    elif path == "/requests/list":
        rows = fake.rows.get("requests", [])
        reply.stream([row for row in rows if (row["source_rse"], row["dest_rse"]) == (query["src_rse"], query["dst_rse"])])
    else:
        reply.send(404, b'{"ExceptionClass": "NotFound", "ExceptionMessage": "no such place"}')


def _one_rse(fake: FakeRucio, reply: Reply, name: str, rest: list[str]) -> None:
    if rest[:1] == ["attr"]:
        reply.send(200, json.dumps({name: True, "QOS": "SAFE", "door_xroots": "xroots://h:1//data/"}).encode())
    elif rest[:1] == ["usage"]:
        usage = {"source": "storage", "used": 3 * 10**9, "free": 37 * 10**9, "total": 40 * 10**9, "updated_at": CREATED}
        reply.stream([usage, {"source": "rucio", "used": 2 * 10**9, "free": None, "total": 2 * 10**9, "files": 12, "updated_at": CREATED}])
    else:
        numbers = {"read": 1, "write": 1, "delete": 1}
        domains = {"lan": numbers, "wan": numbers | {"third_party_copy_read": 1, "third_party_copy_write": 1}}
        door = {"scheme": "davs", "hostname": "localhost", "port": 1094, "prefix": "/data/", "impl": "x", "domains": domains}
        hidden = {
            "scheme": "roots",
            "hostname": "localhost",
            "port": 1095,
            "prefix": "/data/",
            "impl": "x",
            "domains": {"lan": {}, "wan": {}},
        }
        reply.send(200, json.dumps({"rse": name, "protocols": [hidden, door]}).encode())


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""


@contextmanager
def running(fake: FakeRucio | None = None, wrap: Callable[[Any], Any] | None = None) -> Iterator[FakeRucio]:
    """The server, listening on a free loopback port; `wrap` may put TLS around its socket."""
    memory = fake or FakeRucio()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string(time.time() + memory.ahead.total_seconds())

        def log_message(self, *arguments: object) -> None:
            """Nothing is printed."""

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = Asked(parts.path, {name: values[0] for name, values in parse_qs(parts.query).items()}, self.headers)
            memory.asked.append(asked)
            reply = Reply(self, asked)
            for prefix, answer in memory.answers.items():
                if parts.path.startswith(prefix):
                    answer(reply)
                    return
            answer_well(memory, reply)

    server = _Server(("127.0.0.1", 0), Handler)
    if wrap is not None:
        server.socket = wrap(server.socket)
    memory.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        server.shutdown()
        server.server_close()
