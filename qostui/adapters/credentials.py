"""The source of credentials: what the profile holds on this machine, and whether Rucio takes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ..domain.credential import Credential
from ..domain.errors import CredentialProblem, Problem
from ..domain.profile import Profile, host_text
from ..domain.text import SafeText, clean
from ..services.feeds import Cancel
from . import rucio_session, secret_files, tokens, x509
from .rucio import Connection

_SAME = timedelta(minutes=1)
"""Proxy and AC that end this close together end together: their makers stamp them seconds apart."""


class CredentialSource:
    """Local credentials first, then the Rucio session by `whoami`, which logs in where that is needed."""

    def __init__(self, profile: Profile, connection: Connection, box: rucio_session.TokenBox) -> None:
        self._profile = profile
        self._connection = connection
        self._box = box
        self.subject: SafeText = clean(profile.login_name if profile.auth == "userpass" else "")

    def since(self, moment: datetime, cancel: Cancel) -> None:
        """Credentials have no increments."""
        return None

    def full(self, cancel: Cancel) -> Iterator[Sequence[Credential]]:
        """All credentials of the profile; raises Problem after the local ones when Rucio cannot be asked."""
        yield self._local()
        try:
            said = self._connection.document("accounts/whoami", cancel)
        except Problem as problem:
            yield [self._session(problem.summary, None)]
            raise
        account = str(said.get("account") or self._profile.account) if isinstance(said, dict) else self._profile.account
        yield [self._session("", account)]

    def _session(self, problem: str, account: str | None) -> Credential:
        profile = self._profile
        cached = "kept from an earlier run" if self._box.from_file else "made in this run"
        is_token = profile.auth == "oidc"
        return Credential(
            id="1 session",
            kind="Rucio session",
            who=f"{account or profile.account} @ {host_text(profile.rucio_host)}",
            source=f"log-in by {profile.auth}",
            subject=account or profile.account,
            expires=None if is_token else self._box.expires,
            problem=problem,
            note="" if problem else "whoami ✔, the token itself logs in" if is_token else f"whoami ✔, {cached}, renews itself",
            proven_at=None if problem else datetime.now(UTC).replace(second=0, microsecond=0),
        )

    def _local(self) -> list[Credential]:
        profile = self._profile
        rows: list[Credential] = []
        if profile.proxy is not None:
            rows += self._certificate("2 proxy", profile.proxy, "proxy", secret=True)
        if profile.certificate is not None:
            rows += self._certificate("3 certificate", profile.certificate, "certificate", secret=False)
        if profile.auth == "oidc" or profile.token_file is not None:
            rows.append(self._token())
        if profile.password_file is not None or profile.password_keyring or profile.auth == "userpass":
            rows.append(self._password())
        return rows

    def _certificate(self, row_id: str, path: Path, key: str, *, secret: bool) -> list[Credential]:
        kind = "X.509 proxy" if secret else "X.509 certificate"
        source = self._source(path, key)
        try:
            found = x509.read(path, f"the {key}", secret=secret)
        except CredentialProblem as problem:
            return [Credential(id=row_id, kind=kind, who="", source=source, problem=problem.summary)]
        if self._profile.auth in ("x509", "x509_proxy"):
            self.subject = clean(found.subject)
        trouble = _ended(found.not_before, found.expires) or ("" if secret else self._key_problem())
        if secret and not found.is_proxy:
            trouble = trouble or "holds a certificate that is no proxy"
        row = Credential(
            id=row_id,
            kind=kind,
            who=found.subject,
            source=source,
            subject=found.subject,
            expires=found.expires,
            not_before=found.not_before,
            issuer=found.issuer,
            chain=found.chain,
            serial=found.serial,
            problem=trouble or found.voms_problem,
            note="used for the log-in" if self._profile.auth.startswith("x509") and (self._profile.auth == "x509_proxy") == secret else "",
        )
        return [row, *(self._voms(row_id, number, ac, row) for number, ac in enumerate(found.voms))]

    @staticmethod
    def _voms(row_id: str, number: int, ac: x509.AttributeCertificate, proxy: Credential) -> Credential:
        earlier = ac.expires is not None and proxy.expires is not None and proxy.expires - ac.expires > _SAME
        return Credential(
            id=f"{row_id} ac{number}",
            kind="VOMS AC",
            who=_shortened(ac.fqans),
            source="in the proxy",
            subject=proxy.subject,
            expires=ac.expires,
            not_before=ac.not_before,
            issuer=ac.authority,
            groups=ac.fqans,
            problem=_ended(ac.not_before, ac.expires),
            note="ends before the proxy; signature not verified" if earlier else "signature not verified",
        )

    def _key_problem(self) -> str:
        key = self._profile.key
        if key is None:
            return ""
        try:
            problem = secret_files.mode_problem(key)
        except OSError as error:
            return f"the key {key}: {error.strerror}"
        return f"the key {key} {problem}" if problem else ""

    def _token(self) -> Credential:
        profile = self._profile
        source = self._source(profile.token_file, "token_file") if profile.token_file is not None else profile.source_of("token")
        try:
            token = rucio_session.bearer(profile)
        except CredentialProblem as problem:
            return Credential(id="4 token", kind="Access token", who="", source=source, problem=problem.summary)
        claims = tokens.decode(token.reveal())
        if claims is None:
            return Credential(
                id="4 token", kind="Access token", who="", source=source, note="opaque: not a JSON Web Token, nothing can be read from it"
            )
        if profile.auth == "oidc":
            self.subject = clean(claims.subject)
        facts = (("client", claims.client), ("WLCG profile", claims.profile), ("algorithm", claims.algorithm))
        return Credential(
            id="4 token",
            kind="Access token",
            who=f"{claims.subject} · aud {' '.join(claims.audience) or 'none'}",
            source=source,
            subject=claims.subject,
            expires=claims.expires,
            not_before=claims.not_before or claims.issued,
            issuer=claims.issuer,
            scopes=claims.scopes,
            audience=claims.audience,
            groups=claims.groups,
            problem=_ended(claims.not_before, claims.expires),
            note="decoded, signature not verified",
            facts=tuple((label, value) for label, value in facts if value),
        )

    def _password(self) -> Credential:
        profile = self._profile
        path = profile.password_file
        source = (
            str(path)
            if path is not None
            else f"keyring entry {profile.password_keyring}"
            if profile.password_keyring
            else profile.source_of("password_file")
        )
        return Credential(
            id="5 password",
            kind="Pass word",
            who=profile.login_name,
            source=source,
            subject=profile.login_name,
            problem=_trouble(profile),
            note="no end stated; not shown",
        )

    def _source(self, path: Path | None, key: str) -> str:
        where = self._profile.source_of(key)
        return str(path) if where in ("profile", str(path)) else f"{where} ({path})"


def _trouble(profile: Profile) -> str:
    """Why the pass word cannot be had, in one line; "" when it can."""
    try:
        rucio_session.password(profile)
    except CredentialProblem as problem:
        return problem.summary
    return ""


def _ended(not_before: datetime | None, expires: datetime | None) -> str:
    now = datetime.now(UTC)
    if expires is not None and expires <= now:
        return "expired"
    return "not valid yet" if not_before is not None and not_before > now else ""


def _shortened(fqans: Sequence[str]) -> str:
    """FQANs as people say them, the primary one first: without Role=NULL and Capability=NULL."""
    return " ".join(each.removesuffix("/Capability=NULL").removesuffix("/Role=NULL") for each in fqans) or "no FQAN"
