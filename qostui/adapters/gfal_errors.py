"""What gfal2's errors mean: by protocol, code and text, since each protocol has codes of its own for the same thing.

The table is what gfal2 2.21.3 said when each case was brought about against XRootD 5.5.3 and GridFTP 13.24. The text is gfal2's
message and what its libraries wrote on standard error: over root only the latter has the cause.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from errno import errorcode
from urllib.parse import urlsplit

from ..domain.errors import (
    CertificateProblem,
    ConnectionProblem,
    CredentialProblem,
    DeniedProblem,
    NotFoundProblem,
    Problem,
    ServerProblem,
    UsageProblem,
)
from ..domain.text import SafeText, clean

HTTP, XROOT, GRIDFTP, SRM = ("davs", "https", "dav", "http"), ("root", "roots", "xroot"), ("gsiftp",), ("srm",)
ANY: tuple[str, ...] = ()
NO_ANSWER, DIED = -100, -101
"""Codes of ours: nothing came within the time limit; the worker ended by itself."""
MAX_TEXT = 400


class GfalMissing(UsageProblem):
    """No Python here has gfal2, so that no storage can be asked."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line of the table: where it holds, and what it means."""

    schemes: tuple[str, ...]
    """() is all."""
    codes: tuple[int, ...]
    """() is all."""
    text: str
    """Regular expression, found anywhere, in any case; "" is all."""
    kind: type[Problem]
    said: str
    """What the door does, as the end of a sentence: `refuses the token: it has expired`."""
    step: str

    def matches(self, scheme: str, code: int, text: str) -> bool:
        """This is it."""
        return (
            (not self.schemes or scheme in self.schemes)
            and (not self.codes or code in self.codes)
            and (not self.text or re.search(self.text, text, re.IGNORECASE) is not None)
        )


_NEW = "make a new one: see qostui creds"
_CA = "check ca_path of the profile; never switch checking off"
_OTHER = "check subject, VO, audience and scopes in qostui creds; another credential may be taken"
_WAIT = "is the storage up, and does a firewall let us through?"
_PARENT = "check the path and its parent directory"

PATTERNS: tuple[Pattern, ...] = (
    # Ours
    Pattern(ANY, (NO_ANSWER,), "", ConnectionProblem, "gives no answer in time", _WAIT),
    Pattern(ANY, (DIED,), "", ServerProblem, "cannot be asked: gfal2 broke down", "try again; if it stays, report it with gfal2's version"),
    # Certificates: theirs, then ours
    Pattern(
        ANY,
        (),
        r"server certificate verification failed|issuer is not trusted|certificate verify failed|unable to get local issuer",
        CertificateProblem,
        "shows a certificate that is not trusted here",
        _CA,
    ),
    Pattern(ANY, (), r"alert certificate expired|proxy (has )?expired", CredentialProblem, "says that the certificate has expired", _NEW),
    Pattern(ANY, (), r"certificate (is |has been )?revoked", CredentialProblem, "says that the certificate is revoked", _NEW),
    Pattern(ANY, (), r"alert unknown ca|\bunknown CA\b", CredentialProblem, "does not know the CA of this certificate", _OTHER),
    Pattern(
        ANY,
        (),
        r"alert (bad certificate|certificate unknown|access denied|handshake failure)",
        CredentialProblem,
        "refuses the certificate",
        _OTHER,
    ),
    Pattern(
        GRIDFTP,
        (2,),
        r"could not open the user certificate",
        CredentialProblem,
        "lets in by X.509 only, and no certificate was shown",
        _NEW,
    ),
    Pattern(
        GRIDFTP,
        (),
        r"credentials could not be found",
        CredentialProblem,
        "lets in by X.509 only, and no certificate was shown",
        "use a proxy",
    ),
    # Tokens
    Pattern(XROOT, (), r"token expired", CredentialProblem, "refuses the token: it has expired", _NEW),
    Pattern(XROOT, (), r"token verification failed", CredentialProblem, "refuses the token", _OTHER),
    # Log-in
    Pattern(XROOT, (), r"\[3030\]|no protocols left to try|auth(entication)? failed", CredentialProblem, "refuses the log-in", _OTHER),
    Pattern(XROOT, (52,), "", CredentialProblem, "refuses the log-in", _OTHER),
    Pattern(
        GRIDFTP,
        (),
        r"\b530\b.*(mapping|gridmap|authoriz)|(mapping|gridmap).*\b530\b",
        CredentialProblem,
        "knows no user for this certificate",
        _OTHER,
    ),
    Pattern(GRIDFTP, (), r"\b530\b", CredentialProblem, "refuses the log-in", _OTHER),
    Pattern(HTTP, (), r"\bHTTP 401\b", CredentialProblem, "wants another credential (HTTP 401)", _OTHER),
    # Nobody there. A hung TLS server comes as EACCES, so this is before what is denied.
    Pattern(ANY, (), r"(connection|operation) timed? ?out|timeout of \d+", ConnectionProblem, "gives no answer in time", _WAIT),
    Pattern(
        ANY,
        (),
        r"name or service not known|could not resolve|unknown host|invalid address",
        ConnectionProblem,
        "has a host name that is not known",
        "check the door in Rucio, and DNS",
    ),
    Pattern(
        ANY,
        (),
        r"connection refused|could not connect|could not open connection|no route to host",
        ConnectionProblem,
        "is down: nobody answers at that address",
        _WAIT,
    ),
    Pattern(
        ANY,
        (),
        r"connection reset|broken pipe|connection closed",
        ConnectionProblem,
        "breaks the connection off",
        "it may refuse the certificate, or be out of space or in trouble: see its log",
    ),
    Pattern(ANY, (110,), "", ConnectionProblem, "gives no answer in time", _WAIT),
    Pattern(ANY, (111, 112, 113), "", ConnectionProblem, "is down: nobody answers at that address", _WAIT),
    # Not allowed
    Pattern(HTTP, (), r"\bHTTP 403\b", DeniedProblem, "refuses this credential, or what it asks for (HTTP 403)", _OTHER),
    Pattern(GRIDFTP, (70,), r"path not allowed", DeniedProblem, "does not allow this path", "check the prefix of the door in Rucio"),
    Pattern(ANY, (), r"permission denied|permission refused", DeniedProblem, "does not allow that", _OTHER),
    Pattern(ANY, (1, 13), "", DeniedProblem, "does not allow that", _OTHER),
    # Names and space
    Pattern(ANY, (), r"\bno space left\b|\bHTTP 507\b", ServerProblem, "has no space left", "free some, or choose another RSE"),
    Pattern(ANY, (28,), "", ServerProblem, "has no space left", "free some, or choose another RSE"),
    Pattern(ANY, (122,), "", ServerProblem, "has no quota left", "free some, or choose another RSE"),
    Pattern(ANY, (), r"no such file|file not found|\bHTTP 404\b", NotFoundProblem, "has no such file or directory", _PARENT),
    Pattern(ANY, (2,), "", NotFoundProblem, "has no such file or directory", _PARENT),
    Pattern(ANY, (), r"not a directory", UsageProblem, "has a file there, not a directory", _PARENT),
    Pattern(ANY, (20,), "", UsageProblem, "has a file there, not a directory", _PARENT),
    Pattern(GRIDFTP, (21,), "", UsageProblem, "has a directory there, or a file where a directory is asked for", _PARENT),
    Pattern(ANY, (21,), "", UsageProblem, "has a directory there, not a file", _PARENT),
    Pattern(ANY, (), r"directory not empty", UsageProblem, "has a directory there that is not empty", "delete what is in it first"),
    Pattern(ANY, (39,), "", UsageProblem, "has a directory there that is not empty", "delete what is in it first"),
    Pattern(ANY, (17,), "", UsageProblem, "has something of that name already", "choose another name"),
    # The rest
    Pattern(
        HTTP,
        (5,),
        r"not a valid HTTP or Webdav URL",
        UsageProblem,
        "has an address that is no valid URL",
        "percent-encode blanks and the like",
    ),
    Pattern(ANY, (38, 93, 95), "", UsageProblem, "cannot do that over this protocol", "use another door of the RSE"),
    Pattern(ANY, (), r"\bHTTP (429|502|503|504)\b", ServerProblem, "has too much to do", "try again later"),
    Pattern(ANY, (), r"\bHTTP 5\d\d\b", ServerProblem, "fails inside", "the storage's log says more"),
)
"""Read from the top; the first that matches counts."""

_FAILS = Pattern(ANY, (), "", ServerProblem, "fails", "the storage's log says more")

_SECRETS = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]+\.?[\w-]*"
    r"|(?P<before>(?:authz=|authorization:)\s*(?:bearer)?(?:%20|[\s+])*|bearer(?:%20|[\s+])+)[^\s&\"'|]+"
    r"|-----BEGIN [^-]+-----.*?(?:-----END [^-]+-----|\Z)"
    r"|\b[A-Za-z0-9_-]{64,}={0,2}",
    re.IGNORECASE | re.DOTALL,
)
"""Tokens, whatever follows Bearer, PEM blocks, and long base64 (macaroons): gfal2 repeats addresses with `?authz=` in its errors."""


def masked(text: str, secrets: tuple[str, ...] = ()) -> SafeText:
    """One safe line of a foreign text, without these secrets and without what looks like one."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "…")
    text = _SECRETS.sub(lambda found: f"{found['before'] or ''}…", text)
    return clean(" | ".join(line.strip() for line in text.splitlines() if line.strip()))


def pattern(scheme: str, code: int, text: str) -> Pattern:
    """The line of the table that an error is."""
    return next((each for each in PATTERNS if each.matches(scheme, code, text)), _FAILS)


def problem(address: str, code: int, text: str, tail: str = "", secrets: tuple[str, ...] = ()) -> Problem:
    """The Problem of gfal2's error `code` with message `text` at `address`; `tail` is what was written on standard error.

    Its summary begins with `door_name(address)`.
    """
    found = pattern(urlsplit(address).scheme, code, f"{text}\n{tail}")
    said = found.said
    if found is _FAILS:
        said = f"{said} ({errorcode.get(code, code)}): {masked(text, secrets)[:MAX_TEXT]}"
    return found.kind(clean(f"{door_name(address)} {said}"), detail=masked(f"{text}\n{tail}", secrets), step=found.step)


def missing(text: str) -> GfalMissing:
    """The Problem of a machine without gfal2; `text` says where it was looked for."""
    return GfalMissing(
        f"no storage can be asked: gfal2 is missing ({masked(text)[:MAX_TEXT]})",
        step="install python3-gfal2 and gfal2's plug-ins, or name a Python that has them in $QOSTUI_GFAL_PYTHON",
    )


def door_name(address: str) -> SafeText:
    """`scheme://host:port` of an address."""
    split = urlsplit(address)
    return clean(f"{split.scheme}://{split.netloc.rpartition('@')[2]}")
