"""The console's own HTTP session: one origin at a time, limits on every call, nothing from the environment, abortable."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from threading import Timer
from typing import Any
from urllib.parse import urljoin
from weakref import WeakSet

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from ..domain.errors import ServerProblem
from ..domain.profile import host_text, origin
from .errors import OVERLOADED, overloaded, translated

CONNECT_S, READ_S = 6.0, 30.0
"""Limits of each call: for the connection, and for each wait for more bytes."""
MAX_REDIRECTS = 5
USER_AGENT = "qostui"
_NO_LINGER = struct.pack("ii", 1, 0)


class OriginSession(requests.Session):
    """A session for the origins it was made for; raises Problem, never a third-party error.

    A redirect is followed within its origin only (scheme, host, port): rucio-clients would carry the token to any other.
    """

    def __init__(self, addresses: tuple[str, ...], verify: str | bool, what: str = "Rucio") -> None:
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._origins = {origin(address) for address in addresses}
        self._trusted = verify
        self._what = what
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self.clock_offset = timedelta()
        """The server's clock minus ours, from the last `Date` header."""
        self.token_expires: datetime | None = None
        """`X-Rucio-Auth-Token-Expires` of the last log-in."""
        self._ended = False
        self.mount("https://", _AbortableAdapter(self._connected))
        self.mount("http://", _AbortableAdapter(self._connected))

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        """As requests.Session.request, within the origin and the limits."""
        kwargs |= {"allow_redirects": False, "timeout": (CONNECT_S, READ_S), "verify": self._trusted}
        target = url.decode() if isinstance(url, bytes) else str(url)
        for _ in range(MAX_REDIRECTS + 1):
            if origin(target) not in self._origins:
                raise ServerProblem(f"{host_text(target)} is not a server of this profile", step="check rucio_host and auth_host")
            with translated(target, self._what):
                response = super().request(method, target, *args, **kwargs)
            self._note(response)
            if response.status_code in OVERLOADED:
                # Here, since rucio-clients would take some of them for a refused log-in and wait and repeat others.
                response.close()
                raise overloaded(response.status_code, response.headers, host_text(target), self._what)
            if not response.is_redirect:
                return response
            following = urljoin(target, response.headers["location"])
            response.close()
            if not _same_origin(target, following):
                raise ServerProblem(
                    f"{self._what} at {host_text(target)} sends us on to {_named(following)}, where no credential of this profile goes",
                    step="if that is right, put the new address into the profile",
                )
            target, kwargs["params"] = following, None
        raise ServerProblem(f"{self._what} at {host_text(target)} redirects in a circle", step="is this really the server?")

    def _note(self, response: requests.Response) -> None:
        with contextlib.suppress(ValueError, TypeError, KeyError):
            self.clock_offset = parsedate_to_datetime(response.headers["Date"]).astimezone(UTC) - datetime.now(UTC)
        with contextlib.suppress(ValueError, TypeError, KeyError):
            self.token_expires = datetime.strptime(response.headers["X-Rucio-Auth-Token-Expires"], "%a, %d %b %Y %H:%M:%S UTC").replace(
                tzinfo=UTC
            )

    def _connected(self, connection: socket.socket) -> None:
        self._sockets.add(connection)
        if self._ended:
            # Cancelled while it was being connected: the server must not hear a call that nobody waits for.
            self.abort()

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Break off what is under way after so long: READ_S is for each wait, and an answer that trickles never waits long."""
        watch = Timer(seconds, self.abort)
        watch.daemon = True
        watch.start()
        try:
            yield
        finally:
            watch.cancel()

    def end(self) -> None:
        """Break off whatever is under way, and let nothing begin any more; safe from any thread."""
        self._ended = True
        self.abort()

    def abort(self) -> None:
        """Break off whatever a thread reads from this session just now; safe from any thread."""
        for each in list(self._sockets):
            with contextlib.suppress(OSError):
                # Closing it then resets it: a server whose buffers are full would else go on sending for a minute.
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                # socket.socket's own method: that of SSLSocket would take the TLS state away under the reader.
                socket.socket.shutdown(each, socket.SHUT_RDWR)


def _same_origin(one: str, other: str) -> bool:
    try:
        return origin(one) == origin(other)
    except ValueError:
        return False


def _named(address: str) -> str:
    try:
        return host_text(address)
    except ValueError:
        return "another address"


class _AbortableAdapter(HTTPAdapter):
    """Knows the sockets in use, since closing a response does not wake a thread that waits in recv."""

    def __init__(self, connected: Callable[[socket.socket], None]) -> None:
        self._tell = connected
        super().__init__(pool_connections=2, pool_maxsize=2, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        tell = self._tell

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                tell(self.sock)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                tell(self.sock)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
