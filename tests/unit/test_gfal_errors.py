"""gfal2's errors as they were seen, and what each is to an operator."""

from __future__ import annotations

import errno

import pytest

from qostui.adapters import gfal_errors
from qostui.adapters.gfal_errors import DIED, NO_ANSWER, PATTERNS, masked, problem
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

SEEN: tuple[tuple[str, int, str, str, type[Problem], str], ...] = (
    # scheme, code, text, standard error, what it is, what is said
    ("davs", 112, "Result Could not connect to server after 1 attempts", "", ConnectionProblem, "is down"),
    ("davs", 13, "SSL handshake failed: Connection timed out", "", ConnectionProblem, "gives no answer in time"),
    ("davs", 9, "timeout of 1s", "", ConnectionProblem, "gives no answer in time"),
    ("davs", 112, "SSL error: sslv3 alert certificate expired", "", CredentialProblem, "has expired"),
    ("davs", 112, "Connection reset by peer", "", ConnectionProblem, "breaks the connection off"),
    ("davs", 6, "Could not send request body: Connection reset by peer", "", ConnectionProblem, "breaks the connection off"),
    ("davs", 112, "tlsv1 alert unknown ca", "", CredentialProblem, "does not know the CA"),
    ("davs", 112, "Server certificate verification failed: issuer is not trusted", "", CertificateProblem, "not trusted here"),
    ("davs", 1, "HTTP 403 : Permission refused", "", DeniedProblem, "HTTP 403"),
    ("davs", 13, "HTTP 401 : Authentication Error", "", CredentialProblem, "HTTP 401"),
    ("davs", 2, "HTTP 404 : File not found", "", NotFoundProblem, "no such file"),
    ("davs", 5, "'davs://a b' is not a valid HTTP or Webdav URL", "", UsageProblem, "no valid URL"),
    ("davs", 5, "HTTP 500 : Unexpected server error", "", ServerProblem, "fails inside"),
    ("davs", 5, "HTTP 503 : Service Unavailable", "", ServerProblem, "too much to do"),
    ("davs", 20, "Not a directory", "", UsageProblem, "not a directory"),
    ("root", 52, "Invalid exchange", "Authentication with gsi failed: unknown CA: 1a2b.0", CredentialProblem, "does not know the CA"),
    ("root", 52, "Invalid exchange", "Proxy expired", CredentialProblem, "has expired"),
    ("root", 52, "Invalid exchange", "", CredentialProblem, "refuses the log-in"),
    ("root", 13, "Permission denied", "", DeniedProblem, "does not allow that"),
    ("root", 111, "Failed to stat file (Connection refused)", "", ConnectionProblem, "is down"),
    ("root", 110, "Operation expired", "", ConnectionProblem, "gives no answer in time"),
    ("root", 28, "[3009] Unable to write; no space left on device", "", ServerProblem, "no space left"),
    ("root", 84, "Not a directory", "", UsageProblem, "not a directory"),
    ("root", 17, "[3018] file exists", "", UsageProblem, "of that name already"),
    ("roots", 52, "Invalid exchange", "ztn failed: token verification failed: token expired", CredentialProblem, "token: it has expired"),
    ("roots", 52, "Invalid exchange", "ztn failed: token verification failed: Invalid json", CredentialProblem, "refuses the token"),
    ("gsiftp", 13, "Valid credentials could not be found in any of the possible locations", "", CredentialProblem, "lets in by X.509 only"),
    ("gsiftp", 13, "530-globus_xio: Authorization denied: No gridmap mapping", "", CredentialProblem, "knows no user"),
    ("gsiftp", 13, "530-OpenSSL Error: statem_srvr", "", CredentialProblem, "refuses the log-in"),
    ("gsiftp", 13, "OpenSSL Error: certificate verify failed", "", CertificateProblem, "not trusted here"),
    ("gsiftp", 2, "Could not open the user certificate", "", CredentialProblem, "no certificate was shown"),
    ("gsiftp", 70, "500 Path not allowed.", "", DeniedProblem, "does not allow this path"),
    ("gsiftp", 70, "globus_xio: System error in connect: Connection refused", "", ConnectionProblem, "is down"),
    ("gsiftp", 2, "500-globus_xio: Unable to open file /x No such file or directory", "", NotFoundProblem, "no such file"),
    ("gsiftp", 70, "Directory not empty", "", UsageProblem, "not empty"),
    ("gsiftp", 110, "Connection timed out", "", ConnectionProblem, "gives no answer in time"),
    ("srm", 70, "[SE][Ls][] httpg://h:1: CGSI-gSOAP could not open connection", "", ConnectionProblem, "is down"),
    ("mock", 93, "Protocol not supported", "", UsageProblem, "over this protocol"),
    ("davs", NO_ANSWER, "", "", ConnectionProblem, "gives no answer in time"),
    ("davs", DIED, "exit status -6", "", ServerProblem, "gfal2 broke down"),
    ("davs", errno.ENOTBLK, "odd <b>", "", ServerProblem, "fails (ENOTBLK): odd <b>"),
)


@pytest.mark.parametrize(("scheme", "code", "text", "tail", "kind", "said"), SEEN)
def test_each_error_that_was_seen(scheme: str, code: int, text: str, tail: str, kind: type[Problem], said: str) -> None:
    found = problem(f"{scheme}://h:1/x", code, text, tail)
    assert type(found) is kind
    assert said in found.summary
    assert found.summary.startswith(f"{scheme}://h:1 ")
    assert found.step


def test_no_line_of_the_table_is_hidden_by_one_above() -> None:
    reached = {id(gfal_errors.pattern(scheme, code, f"{text}\n{tail}")) for scheme, code, text, tail, _, _ in SEEN}
    for scheme, code, text in (
        ("davs", 112, "sslv3 alert bad certificate"),
        ("davs", 112, "certificate has been revoked"),
        ("davs", 5, "Could not resolve host"),
        ("gsiftp", 21, ""),
        *(("file", code, "") for code in (113, 13, 122, 2, 20, 21, 39, 17, 28, 110)),
        ("root", 3, "permission denied"),
        ("root", 5, "[FATAL] Auth failed"),
    ):
        reached.add(id(gfal_errors.pattern(scheme, code, text)))
    assert [each for each in PATTERNS if id(each) not in reached] == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("root://h//x?authz=Bearer%20abc.def&y=1 denied", "root://h//x?authz=Bearer%20…&y=1 denied"),
        ("Authorization: Bearer abc123 refused", "Authorization: Bearer … refused"),
        ("got eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln in it", "got … in it"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- then", "… then"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE cut", "…"),
        (f"macaroon MDAx{'A' * 80}== here", "macaroon … here"),
        ("my-own-secret-of-today is in here", "… is in here"),
        ("a\x1b[2Jb\nc", r"a\x1b[2Jb | c"),
        ("davs://h:1/data/escape/fair/run.0042/f0001.root stays", "davs://h:1/data/escape/fair/run.0042/f0001.root stays"),
    ],
)
def test_no_secret_is_in_what_is_shown(text: str, shown: str) -> None:
    assert masked(text, ("my-own-secret-of-today", "")) == shown


def test_the_name_of_a_door_holds_no_user() -> None:
    assert gfal_errors.door_name("davs://me:pw@h:1/x") == "davs://h:1"
