"""Every foreign error of the network and of rucio-clients, turned into one line that says what it is (domain.errors)."""

from __future__ import annotations

import contextlib
import re
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests
import urllib3.exceptions as lib3

from ..domain.errors import (
    CertificateProblem,
    ConnectionProblem,
    CredentialProblem,
    DeniedProblem,
    NotFoundProblem,
    OverloadProblem,
    Problem,
    ServerProblem,
    UsageProblem,
)
from ..domain.profile import host_text
from ..domain.text import clean
from ..services.feeds import Cancelled

_VERIFY_REASON = re.compile(r"certificate verify failed: ([^(\]]+)")
_PEER_REFUSES = (
    "ALERT_CERTIFICATE",
    "ALERT_UNKNOWN_CA",
    "ALERT_BAD_CERTIFICATE",
    "ALERT_HANDSHAKE_FAILURE",
    "CERTIFICATE_REQUIRED",
    "ALERT_ACCESS_DENIED",
)
_DENIED = ("AccessDenied",)
_REFUSED = (
    "CannotAuthenticate",
    "CannotAuthorize",
    "InvalidAccount",
    "IdentityError",
    "IdentityNotFound",
    "NoAuthInformation",
    "MissingClientParameter",
)
_SECRET = re.compile(r"(eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|(?i:x-rucio-(?:auth-token|password)['\": ]+)\S+|\b\S+-[0-9a-f]{32}\b)")
MAX_DETAIL = 2000
OVERLOADED = (429, 502, 503, 504)
"""Answers of a server, or of the proxy before it, that has too much to do."""


def safe_detail(text: object) -> str:
    """A server's or library's text for a detail view: harmless, shortened, with what looks like a token taken out."""
    return clean(_SECRET.sub("…", str(text)[:MAX_DETAIL]))


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error, its causes, and the reasons that urllib3 and requests wrap."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        inner = (getattr(current, "reason", None), current.__cause__, current.__context__, *current.args)
        waiting.extend(each for each in inner if isinstance(each, BaseException))


def translate(error: BaseException, address: str, what: str = "Rucio") -> Problem:
    """The Problem that a network or library error is; `address` is where the call went."""
    if isinstance(error, Problem):
        return error
    links = list(chain(error))
    for link in links:
        if isinstance(link, Problem):
            return link
    host = host_text(address)
    for link in links:
        if isinstance(link, ssl.SSLCertVerificationError):
            return _untrusted(link, host, what)
    for link in links:
        if isinstance(link, ssl.SSLError):
            return _tls(link, host, what)
    return (
        _network(links, error, host, what)
        or _rucio(error, host, what)
        or ServerProblem(
            f"unexpected trouble with {what} at {host}: {type(error).__name__}",
            detail=safe_detail(error),
            step="report this with the server's version",
        )
    )


def _untrusted(error: ssl.SSLCertVerificationError, host: str, what: str) -> Problem:
    match = _VERIFY_REASON.search(str(error))
    reason = (getattr(error, "verify_message", "") or (match[1] if match else str(error))).strip().rstrip(".")
    if "ostname mismatch" in reason or "IP address mismatch" in reason:
        reason = f"it was made for another name ({reason})"
    return CertificateProblem(
        f"the certificate of {what} at {host} is not accepted: {clean(reason)}",
        detail=safe_detail(error),
        step="check `ca` or `ca_path` of the profile; never switch checking off",
    )


def _tls(error: ssl.SSLError, host: str, what: str) -> Problem:
    text = str(error).upper()
    if any(word in text for word in _PEER_REFUSES):
        return CredentialProblem(
            f"{what} at {host} refuses our certificate: {clean(getattr(error, 'reason', None) or 'TLS alert')}",
            detail=safe_detail(error),
            step="look at the credentials pane: expired, revoked, or of a CA that the server does not know?",
        )
    if "WRONG_VERSION_NUMBER" in text or "HTTP_REQUEST" in text or "RECORD_LAYER_FAILURE" in text:
        return ConnectionProblem(f"{host} does not speak TLS", detail=safe_detail(error), step="check port and https:// in the profile")
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError) or "EOF" in text:
        return ConnectionProblem(f"{what} at {host} closed the connection", detail=safe_detail(error), step="the console goes on trying")
    if error.errno == ssl.SSL_ERROR_SSL and "PEM" in text:
        return CredentialProblem(
            "the certificate or key file cannot be read", detail=safe_detail(error), step="check certificate, key or proxy"
        )
    return CertificateProblem(
        f"TLS with {what} at {host} fails: {clean(getattr(error, 'reason', None) or error)}", detail=safe_detail(error), step="check the CA"
    )


def _network(links: list[BaseException], error: BaseException, host: str, what: str) -> Problem | None:
    for link in links:
        if isinstance(link, ConnectionRefusedError):
            return ConnectionProblem(
                f"cannot connect to {what} at {host}: connection refused", step="is the server up, and the port right?"
            )
    for link in links:
        if (
            isinstance(link, lib3.NameResolutionError)
            or "Name or service not known" in str(link)
            or "Temporary failure in name res" in str(link)
        ):
            return ConnectionProblem(
                f"cannot connect to {what} at {host}: the name is not known", step="check the host's name and the network"
            )
        if isinstance(link, requests.exceptions.ConnectTimeout | lib3.ConnectTimeoutError):
            return ConnectionProblem(
                f"cannot connect to {what} at {host}: no answer in time", step="check the network, or a firewall on the way"
            )
        if isinstance(link, requests.exceptions.ReadTimeout | lib3.ReadTimeoutError | TimeoutError):
            return ConnectionProblem(f"{what} at {host} accepted the call, but did not answer in time", step="the server is slow or hangs")
    for link in links:
        if isinstance(
            link,
            lib3.IncompleteRead | lib3.ProtocolError | requests.exceptions.ChunkedEncodingError | ConnectionResetError | BrokenPipeError,
        ):
            return ConnectionProblem(
                f"the answer of {what} at {host} broke off", detail=safe_detail(error), step="the console goes on trying"
            )
        if isinstance(link, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema | requests.exceptions.MissingSchema):
            return UsageProblem(f"{host} is not an address", step="check rucio_host and auth_host of the profile")
        if isinstance(link, requests.exceptions.ContentDecodingError | requests.exceptions.JSONDecodeError):
            return ServerProblem(
                f"the answer of {what} at {host} makes no sense", detail=safe_detail(error), step="is this really the server?"
            )
    for link in links:
        if isinstance(link, requests.exceptions.ConnectionError | lib3.HTTPError | OSError):
            reason = getattr(link, "strerror", None) or type(link).__name__
            if (
                isinstance(link, FileNotFoundError | PermissionError)
                or "Could not find the TLS" in str(link)
                or "invalid path" in str(link)
            ):
                return CredentialProblem(f"a certificate or CA file cannot be read: {clean(link)}", step="check the paths in the profile")
            return ConnectionProblem(
                f"cannot connect to {what} at {host}: {clean(reason)}", detail=safe_detail(error), step="the console goes on trying"
            )
    return None


def _rucio(error: BaseException, host: str, what: str) -> Problem | None:
    names = {kind.__name__ for kind in type(error).__mro__}
    if "RucioException" not in names:
        return None
    message = str(error).split("\nDetails: ", 1)[-1]
    return from_rucio(type(error).__name__, message, 0, host, what)


def from_rucio(name: str, message: str, status: int, host: str, what: str = "Rucio") -> Problem:
    """The Problem of one of Rucio's exceptions, by its class name (rucio.common.exception)."""
    detail, said = safe_detail(f"{name}: {message}"), safe_detail(message)
    if name in _DENIED:
        return DeniedProblem(f"not allowed: {said or name}", detail=detail, step="this account may not do that; another profile may")
    if name in _REFUSED or status == 401:
        return CredentialProblem(
            f"{what} at {host} refuses the log-in: {said or name}", detail=detail, step="check account and credential of the profile"
        )
    if name == "ServerConnectionException":
        return ConnectionProblem(f"cannot connect to {what} at {host}", detail=detail, step="the console goes on trying")
    if name.endswith("NotFound") or name == "NotFound":
        return NotFoundProblem(said or name, detail=detail, step="check the name")
    if name in ("InvalidRSEExpression", "InvalidObject", "InputValidationError", "MissingParameter", "Invalid"):
        return UsageProblem(f"{name}: {said}", detail=detail, step="check what was asked for")
    number = f" {status}" if status else ""
    return ServerProblem(
        f"{what} at {host} fails{number}: {said or name}", detail=detail, step="the server's log says more; the console goes on trying"
    )


def from_status(status: int, headers: Mapping[str, str], body: bytes, host: str, what: str = "Rucio") -> Problem:
    """The Problem of an HTTP answer that is not a success; Rucio sends its exception in the body or in headers."""
    import json

    name, message = headers.get("ExceptionClass", ""), headers.get("ExceptionMessage", "")
    with contextlib.suppress(ValueError, AttributeError, UnicodeDecodeError):
        document = json.loads(body)
        name = document.get("ExceptionClass") or name
        message = document.get("ExceptionMessage") or message
    if "AccessDenied" in (name, message.split(" ", 1)[0]) or b"AccessDenied" in body[:400]:
        name = "AccessDenied"  # some endpoints send it as a text with status 500
    if name:
        return from_rucio(str(name), str(message), status, host, what)
    if status == 401:
        return CredentialProblem(f"{what} at {host} refuses the credential (HTTP 401)", step="check account and credential of the profile")
    if status == 403:
        return DeniedProblem(f"{what} at {host} does not allow that (HTTP 403)", step="this account may not do that; another profile may")
    if status == 404:
        return NotFoundProblem(f"{what} at {host} does not know that address (HTTP 404)", step="is this really the server?")
    return ServerProblem(
        f"{what} at {host} answers HTTP {status}",
        detail=safe_detail(body[:400].decode("utf-8", "replace")),
        step="the server's log says more",
    )


def overloaded(status: int, headers: Mapping[str, str], host: str, what: str = "Rucio") -> OverloadProblem:
    """The Problem of a server that has too much to do."""
    wait = retry_after(headers, datetime.now(UTC))
    asked = f", and asks to wait {wait:.0f} s" if wait else ""
    return OverloadProblem(
        f"{what} at {host} answers HTTP {status}{asked}",
        step="the server is overloaded or restarting; the console asks more rarely and goes on trying",
        retry_after=wait,
        # A gateway's 502 or 504 may be about one heavy listing; a server that counts calls or names a time means us.
        everywhere=status == 429 or wait is not None,
    )


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds of a `Retry-After` header, a number or a date (RFC 9110 section 10.2.3); None without one that can be read."""
    said = headers.get("Retry-After", "").strip()
    if said.isascii() and said.isdigit():
        return float(said[:9])
    try:
        at = parsedate_to_datetime(said)
    except ValueError:
        return None
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds())


@contextlib.contextmanager
def translated(address: str, what: str = "Rucio") -> Iterator[None]:
    """Nothing but Problem and Cancelled leaves this block; no foreign traceback (its frames hold secrets) goes along."""
    try:
        yield
    except (Problem, Cancelled):
        raise
    except Exception as error:
        problem = translate(error, address, what)
        raise problem from None
