"""Foreign errors, raised by the real libraries against real sockets where that is cheap, become one line each."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest
import requests
import urllib3.exceptions as lib3
from rucio.common import exception as rucio

from qostui.adapters import errors
from qostui.adapters.http import OriginSession
from qostui.domain.errors import (
    CertificateProblem,
    ConnectionProblem,
    CredentialProblem,
    DeniedProblem,
    NotFoundProblem,
    Problem,
    ServerProblem,
    UsageProblem,
)

ADDRESS = "https://rucio.example.org:8443"


def ssl_error(kind: type[ssl.SSLError], text: str) -> ssl.SSLError:
    return kind(1, text)


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (
            ssl_error(ssl.SSLCertVerificationError, "certificate verify failed: certificate has expired (_ssl.c:1)"),
            CertificateProblem,
            "certificate has expired",
        ),
        (
            ssl_error(ssl.SSLCertVerificationError, "certificate verify failed: Hostname mismatch (_ssl.c:1)"),
            CertificateProblem,
            "another name",
        ),
        (ssl_error(ssl.SSLError, "[SSL: SSLV3_ALERT_CERTIFICATE_EXPIRED] sslv3 alert"), CredentialProblem, "refuses our certificate"),
        (ssl_error(ssl.SSLError, "[SSL: TLSV1_ALERT_UNKNOWN_CA] alert"), CredentialProblem, "refuses our certificate"),
        (ssl_error(ssl.SSLError, "[SSL: WRONG_VERSION_NUMBER] wrong"), ConnectionProblem, "does not speak TLS"),
        (requests.exceptions.ReadTimeout("x"), ConnectionProblem, "did not answer in time"),
        (requests.exceptions.ConnectTimeout("x"), ConnectionProblem, "no answer in time"),
        (requests.exceptions.ChunkedEncodingError(lib3.ProtocolError("x")), ConnectionProblem, "broke off"),
        (ConnectionResetError(104, "reset"), ConnectionProblem, "broke off"),
        (requests.exceptions.ContentDecodingError("x"), ServerProblem, "makes no sense"),
        (rucio.CannotAuthenticate("no"), CredentialProblem, "refuses the log-in"),
        (rucio.MissingClientParameter("no"), CredentialProblem, "refuses the log-in"),
        (rucio.AccessDenied("no"), DeniedProblem, "not allowed"),
        (rucio.RSENotFound("no"), NotFoundProblem, "no"),
        (rucio.InvalidRSEExpression("no"), UsageProblem, "InvalidRSEExpression"),
        (rucio.ServerConnectionException(), ConnectionProblem, "cannot connect"),
        (rucio.DatabaseException("no"), ServerProblem, "fails"),
        (KeyError("client_proxy"), ServerProblem, "KeyError"),
    ],
)
def test_every_error_is_one_safe_line(error: Exception, kind: type[Problem], says: str) -> None:
    problem = errors.translate(error, ADDRESS)
    assert type(problem) is kind
    assert says in problem.summary
    assert "\n" not in problem.summary
    assert problem.step


def test_causes_are_found_behind_wrappers() -> None:
    cause = ssl_error(ssl.SSLCertVerificationError, "certificate verify failed: self-signed certificate (_ssl.c:1)")
    wrapped = requests.exceptions.SSLError(lib3.MaxRetryError(None, "/", lib3.SSLError(cause)))  # type: ignore[arg-type]
    assert isinstance(errors.translate(wrapped, ADDRESS), CertificateProblem)


def test_secrets_and_escapes_do_not_reach_the_detail() -> None:
    token = "ops-ops-unknown-fc01c95de75d479fb32b1c4ed7c79fcc"
    jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"
    problem = errors.translate(rucio.DatabaseException(f"\x1b[31m token {token} and {jwt} X-Rucio-Auth-Token: abc"), ADDRESS)
    told = problem.summary + problem.detail
    for secret in (token, jwt, "abc", "\x1b"):
        assert secret not in told


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind"),
    [
        (500, {}, b"AccessDenied: nope", DeniedProblem),
        (401, {"ExceptionClass": "CannotAuthorize", "ExceptionMessage": "x"}, b"", CredentialProblem),
        (401, {}, b"", CredentialProblem),
        (403, {}, b"", DeniedProblem),
        (404, {}, b'{"ExceptionClass": "RSENotFound", "ExceptionMessage": "RSE X not found"}', NotFoundProblem),
        (404, {}, b"<html>", NotFoundProblem),
        (502, {}, b"<html>bad gateway", ServerProblem),
        (500, {}, b'["not", "a", "dict"]', ServerProblem),
    ],
)
def test_answers_that_are_no_success(status: int, headers: dict[str, str], body: bytes, kind: type[Problem]) -> None:
    assert type(errors.from_status(status, headers, body, "rucio:1")) is kind


def test_a_refused_connection_names_the_port() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ConnectionProblem, match=f"127.0.0.1:{port}: connection refused") as caught:
        OriginSession((f"http://127.0.0.1:{port}",), True).get(f"http://127.0.0.1:{port}/")
    assert caught.value.exit_code == 3


def test_a_missing_ca_file_is_no_connection_problem(tmp_path: Path) -> None:
    address = "https://127.0.0.1:9"
    with pytest.raises(Problem) as caught:
        OriginSession((address,), str(tmp_path / "none.pem")).get(address)
    assert isinstance(caught.value, CredentialProblem)
