"""Credentials that come in from files and go out into files: looked at first, written once."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from ..domain.errors import CredentialProblem, UsageProblem
from ..domain.profile import Profile, Secret
from ..domain.text import clean
from . import bearers, proxy_maker, secret_files, tokens, x509
from .own_files import is_encrypted

SESSION, PROXY, CERTIFICATE, TOKEN, PASSWORD = "Rucio session", "proxy", "certificate", "token", "pass word"
KINDS = {"session": SESSION, "proxy": PROXY, "certificate": CERTIFICATE, "token": TOKEN, "password": PASSWORD}
"""Second word of a credential's id (adapters.credentials) -> what it is."""
LEAST_OPAQUE = 20
"""A shorter text without blanks is rather a word than a token."""


def kind(credential_id: str) -> str:
    """What the credential of this id is; a VOMS AC is part of its proxy. Raises UsageProblem."""
    words = credential_id.split()
    found = KINDS.get(words[1]) if len(words) > 1 else KINDS.get(credential_id)
    if found is None:
        raise UsageProblem(f"there is no credential {clean(credential_id[:60])!r}", step=f"one of {', '.join(KINDS)}")
    return found


def looked_at_proxy(content: bytes, what: str) -> x509.CertificateFile:
    """What is in a proxy file that is to be taken: a proxy with its key, valid now. Raises CredentialProblem."""
    found = x509.parse(content, what)
    if not found.is_proxy:
        raise CredentialProblem(f"{what} holds a certificate that is no proxy", step="put it into the profile, then make a proxy from it")
    if b"PRIVATE KEY-----" not in content:
        raise CredentialProblem(f"{what} holds a proxy without its key", step="take the whole file: certificate, key, chain")
    if is_encrypted(content):
        raise CredentialProblem(f"the key in {what} needs a pass phrase: no tool takes such a proxy", step="make a new one")
    proxy_maker.holder(content, content, None, what, datetime.now(UTC))
    return found


def looked_at_token(content: bytes, path: Path, profile: Profile) -> tuple[Secret, datetime | None, str]:
    """Token, end and scopes of a token file that is to be taken; raises CredentialProblem."""
    where = bearers.origin_of(profile)
    if where not in (bearers.VAULT, bearers.NONE):
        raise CredentialProblem(
            f"the profile takes its token from elsewhere ({where}), so this one would never be used",
            step="remove token_file and oidc_agent from the profile first",
        )
    try:
        text = content.decode("ascii").strip()
    except UnicodeDecodeError:
        text = ""
    if len(text) < LEAST_OPAQUE or not text.isprintable() or " " in text:
        raise CredentialProblem(f"the file {path} is neither a PEM proxy nor a token", step="a token file is one line")
    claims = tokens.decode(text)
    if claims is None:
        return Secret(text), None, ""
    if claims.algorithm.lower() in ("", "none"):
        raise CredentialProblem(f"the token in {path} is not signed (alg: none)", step="no server may take it: get a real one")
    if claims.expires is not None and claims.expires <= datetime.now(UTC):
        raise CredentialProblem(f"the token in {path} ended on {claims.expires:%Y-%m-%d %H:%M} UTC", step="get a new one")
    if profile.issuer and claims.issuer and claims.issuer != profile.issuer:
        raise CredentialProblem(
            f"the token in {path} is of {clean(claims.issuer[:200])}, not of the profile's issuer", step="take it into another profile"
        )
    return Secret(text), claims.expires, " ".join(claims.scopes)


def content(credential_id: str, profile: Profile, runtime_dir: Path) -> tuple[bytes, str]:
    """What an export of the credential holds, and what to call it; raises Problem."""
    what = kind(credential_id)
    if what == PROXY and profile.proxy is not None:
        return secret_files.read_secret(profile.proxy, "the proxy"), "the proxy, with its key,"
    if what == TOKEN:
        return f"{bearers.current(profile, runtime_dir).reveal()}\n".encode(), "the access token"
    if what == CERTIFICATE and profile.certificate is not None:
        try:
            text = profile.certificate.read_bytes()[: secret_files.MAX_BYTES]
        except OSError as error:
            raise CredentialProblem(
                f"the certificate {profile.certificate}: {error.strerror}", step="mend the path in the profile"
            ) from error
        chain = proxy_maker.certificates(text, f"the certificate {profile.certificate}")
        return b"".join(map(proxy_maker.pem, chain)), "the certificate, without its key,"
    raise CredentialProblem(f"a {what} is not handed out", step="export the proxy or the token, which end by themselves")


def write_new(path: Path, text: bytes) -> None:
    """Write a new file, 0600; raises CredentialProblem when something is there already or nothing can be written."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise CredentialProblem(f"{path} exists: it is not overwritten", step="choose another name") from None
    except OSError as error:
        raise CredentialProblem(f"{path} cannot be written: {error.strerror}", step="choose another place") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            # Whatever umask the operator has.
            os.fchmod(file.fileno(), 0o600)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise CredentialProblem(f"{path} cannot be written: {error.strerror}", step="choose another place") from error
