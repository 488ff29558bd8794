"""Looking at a server from outside: does it answer, and which certificate does it show. Nothing of ours is sent."""

from __future__ import annotations

import os
import socket
import ssl
import struct
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from ...domain.errors import ConnectionProblem
from ...services.feeds import Cancel
from .. import x509 as grid
from ..errors import translate, translated
from .anchors import certificates_of

CONNECT_S = 5.0
XROOT_HELLO = struct.pack(">5I", 0, 0, 0, 4, 2012)
"""The first 20 bytes of an xroot client (XRootD protocol specification 5, "initial handshake")."""
_PROTOCOL_REQUEST, _ABLE_TLS, _WANT_TLS, _EXPECT_LOGIN, _TLS_VERSION = 3006, 0x02, 0x04, 0x03, 0x520
_GOTO_TLS, _HAVE_TLS = 0x40000000, 0x80000000
MAX_ANSWER = 64 << 10


@dataclass(frozen=True, slots=True)
class Peer:
    """The certificate that a server shows."""

    subject: str
    """"" when it could not be read."""
    names: tuple[str, ...]
    """DNS names it was made for."""
    expires: datetime | None
    refused: str = ""
    """Why our CAs do not accept it; "" when they do."""


def reach(host: str, port: int, what: str, cancel: Cancel) -> socket.socket:
    """A connection to that port; raises ConnectionProblem."""
    with translated(f"https://{f'[{host}]' if ':' in host else host}:{port}", what):
        connection = socket.create_connection((host, port), timeout=CONNECT_S)
    cancel.closes(connection.close)
    return connection


def trusting(trust: str | bool) -> ssl.SSLContext:
    """A context for a CA file, a CA directory, or (True) the public CAs that the console uses; raises Problem."""
    place = DEFAULT_CA_BUNDLE_PATH if trust is True else str(trust)
    with translated(place, "the CA"):
        return ssl.create_default_context(capath=place) if os.path.isdir(place) else ssl.create_default_context(cafile=place)


def certificate(host: str, port: int, context: ssl.SSLContext, what: str, cancel: Cancel, *, xroot: bool = False) -> Peer:
    """The certificate of a TLS port, or of an xroot port that goes over to TLS; raises Problem when there is none to see.

    One that our CAs do not accept is looked at a second time without them, so that the reason can be told with its dates.
    """
    address = f"https://{host}:{port}"
    try:
        return _shown(host, port, context, what, cancel, xroot=xroot)
    except ssl.SSLCertVerificationError as error:
        refused = (error.verify_message or str(error)).strip().rstrip(".")
    except (OSError, ValueError) as error:
        raise translate(error, address, what) from None
    careless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    careless.check_hostname = False
    careless.verify_mode = ssl.CERT_NONE
    with translated(address, what):
        seen = _shown(host, port, careless, what, cancel, xroot=xroot)
    return Peer(seen.subject, seen.names, seen.expires, refused)


def _shown(host: str, port: int, context: ssl.SSLContext, what: str, cancel: Cancel, *, xroot: bool) -> Peer:
    with closing(reach(host, port, what, cancel)) as connection:
        if xroot:
            _ask_for_tls(connection, what)
        with context.wrap_socket(connection, server_hostname=host) as secure:
            der = secure.getpeercert(binary_form=True)
    if not der:
        return Peer("", (), None)
    (found,) = certificates_of(der)
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        names = []
    return Peer(grid.slash(found.subject), tuple(names), found.not_valid_after_utc)


def _ask_for_tls(connection: socket.socket, what: str) -> None:
    """Handshake and kXR_protocol with the wish for TLS (XProtocol.hh of XRootD 5); raises ConnectionProblem when it has none."""
    request = struct.pack(
        ">HHIBB10xI", 0, _PROTOCOL_REQUEST, _TLS_VERSION, _ABLE_TLS | _WANT_TLS, _EXPECT_LOGIN, 0
    )  # stream, request, version, flags, expect, reserved, length
    connection.sendall(XROOT_HELLO + request)
    _answer(connection)  # to the handshake
    status, body = _answer(connection)
    flags = int.from_bytes(body[4:8], "big")
    if status != 0 or not flags & _HAVE_TLS or not flags & _GOTO_TLS:
        raise ConnectionProblem(f"{what} speaks xroot, but offers no TLS", step="is the door recorded as roots although it is root?")


def _answer(connection: socket.socket) -> tuple[int, bytes]:
    _, status, length = struct.unpack(">HHI", _exactly(connection, 8))
    if length > MAX_ANSWER:
        raise ConnectionProblem("the answer is no xroot", step="is the port right?")
    return status, _exactly(connection, length)


def _exactly(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        part = connection.recv(count - len(found))
        if not part:
            raise ConnectionProblem("the connection was closed during the xroot handshake", step="is the port right?")
        found += part
    return found
