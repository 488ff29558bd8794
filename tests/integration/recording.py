"""Origins that write down all that they hear: each is a Rucio, an FTS and a WebDAV door at once, and in a bad mood at times."""

from __future__ import annotations

import json
import random
import ssl
import threading
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from tests.contract import fake_rucio
from tests.contract.fake_rucio import Asked, FakeRucio, Reply

MOODS = {"away": 0.15, "401": 0.03, "500": 0.03, "cut": 0.02, "slow": 0.02}
"""Mood -> how often: sends to the other origin, refuses, fails, hangs up, takes its time."""
X509_ALLOW_PROXY_CERTS = 0x40
"""X509_V_FLAG_ALLOW_PROXY_CERTS of OpenSSL; the ssl module has no name for it."""
_LISTING = b"""<?xml version="1.0"?><D:multistatus xmlns:D="DAV:"><D:response><D:href>/data/</D:href><D:propstat><D:prop>
<D:resourcetype><D:collection/></D:resourcetype></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>
<D:response><D:href>/data/f</D:href><D:propstat><D:prop><D:resourcetype/><D:getcontentlength>3</D:getcontentlength></D:prop>
<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>"""


def dice_of(seed: str) -> random.Random:
    """Dice that fall in each run as they fell before."""
    return random.Random(seed)  # noqa: S311 - a run that fails must be the same when it is looked into


@dataclass
class RecordingOrigin:
    """One origin's memory."""

    name: str
    rucio: FakeRucio = field(default_factory=FakeRucio)
    port: int = 0
    heard: bytearray = field(default_factory=bytearray)
    """Every byte that arrived, after TLS."""
    certificates: set[bytes] = field(default_factory=set)
    """Client certificates that were shown, DER."""
    issued: list[str] = field(default_factory=list)
    """Tokens and cookies that it handed out."""
    done: Counter[str] = field(default_factory=Counter)
    """Mood, or method and first part of the path -> how often."""
    moods: dict[str, float] = field(default_factory=dict)
    other: RecordingOrigin | None = None
    dice: random.Random = field(default_factory=lambda: dice_of("origin"))
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def address(self) -> str:
        return f"https://localhost:{self.port}"

    def mood(self) -> str:
        """How it feels about the request at hand."""
        with self.lock:
            dice = self.dice.random()
        for mood, share in self.moods.items():
            dice -= share
            if dice < 0:
                return mood
        return "well"

    def answer(self, reply: Reply, method: str) -> None:
        """Answer one request as the mood of the moment is."""
        path = reply.asked.path
        mood = self.mood()
        with self.lock:
            self.done[mood] += 1
            self.done[f"{method} /{path.split('/')[1]}"] += 1
        if mood == "away" and self.other is not None:
            reply.send(302, b"", Location=f"{self.other.address}{reply.handler.path}", Set_Cookie=self._cookie())
        elif mood == "401":
            reply.send(401, b'{"ExceptionClass": "CannotAuthenticate", "ExceptionMessage": "Cannot authenticate with given credentials"}')
        elif mood == "500":
            reply.send(500, b"oh no", "text/plain")
        elif mood == "cut":
            reply.cut()
        else:
            time.sleep(0.3 if mood == "slow" else 0)
            self._well(reply, method)

    def _well(self, reply: Reply, method: str) -> None:
        path = reply.asked.path
        if method == "PROPFIND":
            reply.send(207, _LISTING, "application/xml", Set_Cookie=self._cookie())
        elif path.startswith("/auth/"):
            token = f"{self.name}-session-{self.dice.randbytes(12).hex()}"
            with self.lock:
                self.issued.append(token)
                self.rucio.good_tokens.add(token)
            reply.send(200, X_Rucio_Auth_Token=token, X_Rucio_Auth_Token_Expires=fake_rucio.EXPIRES, Set_Cookie=self._cookie())
        else:
            fake_rucio.answer_well(self.rucio, reply)

    def _cookie(self) -> str:
        """A cookie for the whole host: cookies know no ports, so it would go to the other origin."""
        value = f"{self.name}-cookie-{self.dice.randbytes(12).hex()}"
        with self.lock:
            self.issued.append(value)
        return f"session={value}; Path=/"


class _Heard:
    """A reader that writes down what it reads."""

    def __init__(self, inner: Any, heard: bytearray) -> None:
        self._inner, self._heard = inner, heard

    def readline(self, limit: int = -1) -> bytes:
        line: bytes = self._inner.readline(limit)
        self._heard += line
        return line

    def read(self, size: int = -1) -> bytes:
        part: bytes = self._inner.read(size)
        self._heard += part
        return part

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""


@contextmanager
def listening(origin: RecordingOrigin, context: ssl.SSLContext) -> Iterator[RecordingOrigin]:
    """The origin on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def setup(self) -> None:
            # Here and not in accept: a handshake that stalls must not stall the others.
            self.request = context.wrap_socket(self.request, server_side=True)
            shown = self.request.getpeercert(binary_form=True)
            if shown:
                origin.certificates.add(shown)
            super().setup()
            self.rfile: Any = _Heard(self.rfile, origin.heard)

        def log_message(self, *arguments: object) -> None:
            """Nothing is printed."""

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if length:
                self.rfile.read(length)
            parts = urlsplit(self.path)
            asked = Asked(parts.path, {name: values[0] for name, values in parse_qs(parts.query).items()}, self.headers)
            origin.answer(Reply(self, asked), self.command)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_PROPFIND = _serve

    server = _Server(("127.0.0.1", 0), Handler)
    origin.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield origin
    finally:
        server.shutdown()
        server.server_close()


def server_context(certificate: Path, key: Path, ca: Path) -> ssl.SSLContext:
    """TLS that asks clients for a certificate, takes RFC 3820 proxies, and lets in whoever has none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= ssl.VerifyFlags(X509_ALLOW_PROXY_CERTS)
    return context


def spellings(secret: str) -> set[bytes]:
    """The secret as it may travel: raw, URL-encoded, and base64 at each of the three alignments."""
    raw = secret.encode()
    found = {raw, quote(secret, safe="").encode(), json.dumps(secret)[1:-1].encode()}
    for before in range(3):
        encoded = b64encode(b"\0" * before + raw)
        # The first and last groups mix with what stands beside the secret.
        found.add(encoded[4 if before else 0 : len(encoded) - 4])
    return found


def strays(origin: RecordingOrigin, secrets: Iterable[str]) -> list[str]:
    """Those of the secrets that this origin has heard in some spelling."""
    heard = bytes(origin.heard)
    return [secret for secret in secrets if any(spelling in heard for spelling in spellings(secret))]
