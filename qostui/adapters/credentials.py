"""The source of credentials: what the profile holds on this machine, and whether Rucio takes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ..domain.credential import Credential, Proof
from ..domain.errors import CredentialProblem, Problem
from ..domain.profile import Profile, host_text
from ..domain.text import SafeText, clean
from ..services.feeds import Cancel
from . import bearers, own_places, rucio_session, secret_files, tokens, x509
from .proof_book import ProofBook
from .rucio import Connection

PROXY, TOKEN = "2 proxy", "4 token"
"""Ids of rows, which sort as they are read: a session, then what is behind it."""
PROXY_KIND, CERTIFICATE, VOMS_AC, ACCESS_TOKEN = "X.509 proxy", "X.509 certificate", "VOMS AC", "Access token"
OFFERS = {
    CERTIFICATE: ("proxy", "voms"),
    PROXY_KIND: ("proxy", "voms", "delegate", "macaroon", "import", "export", "drop"),
    VOMS_AC: ("voms",),
    ACCESS_TOKEN: ("log-in", "refresh", "narrow", "macaroon", "import", "export", "drop"),
}
"""Kind -> what may be done with it, where the profile has what that takes (`offered`)."""
OVERDUE = timedelta(minutes=2)
"""A token that is renewed ahead of its end has been renewed before this; one that was not will end."""
_SAME = timedelta(minutes=1)
"""Proxy and AC that end this close together end together: their makers stamp them seconds apart."""


class CredentialSource:
    """Local credentials first, then the Rucio session by `whoami`, which logs in where that is needed."""

    def __init__(self, profile: Profile, connection: Connection, box: rucio_session.TokenBox, proofs: ProofBook | None = None) -> None:
        self._profile = profile
        self._connection = connection
        self._box = box
        self._book = proofs or ProofBook()
        self._proofs: tuple[Proof, ...] = ()
        """What Rucio said last."""
        self.subject: SafeText = clean(profile.login_name if profile.auth == "userpass" else "")

    def since(self, moment: datetime, cancel: Cancel) -> None:
        """Credentials have no increments."""
        return None

    def full(self, cancel: Cancel) -> Iterator[Sequence[Credential]]:
        """All credentials of the profile; raises Problem after the local ones when Rucio cannot be asked."""
        local = [replace(row, proofs=row.proofs + self._book.of(row)) for row in self._local()]
        yield local
        try:
            said = self._connection.document("accounts/whoami", cancel)
        except Problem as problem:
            if isinstance(problem, CredentialProblem):
                self._prove(False, problem.summary)
            yield [self._session(problem.summary, None), *self._shown_to_rucio(local)]
            raise
        self._prove(True)
        account = str(said.get("account") or self._profile.account) if isinstance(said, dict) else self._profile.account
        yield [self._session("", account), *self._shown_to_rucio(local)]

    def _prove(self, accepted: bool, reason: str = "") -> None:
        # To the minute, so that a row that was proved again is not another row.
        self._proofs = (Proof("whoami", accepted, datetime.now(UTC).replace(second=0, microsecond=0), reason),)

    def _shown_to_rucio(self, rows: Sequence[Credential]) -> list[Credential]:
        """The token again, with what was said to it: without a session it is what Rucio is shown at each call."""
        shown = (row for row in rows if row.id == TOKEN and self._profile.auth == "oidc")
        return [replace(row, proofs=self._proofs + self._book.of(row)) for row in shown]

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
            note="" if problem else "the token itself logs in" if is_token else f"{cached}, renews itself",
            proven_at=next((proof.at for proof in self._proofs if proof.accepted and not problem), None),
            proofs=self._proofs,
            actions=() if is_token else ("drop",),
            renews=not is_token,
        )

    def _local(self) -> list[Credential]:
        profile = self._profile
        rows: list[Credential] = []
        if profile.proxy is not None and (profile.auth == "x509_proxy" or profile.proxy.exists() or not self._is_own_proxy()):
            rows += self._certificate(PROXY, profile.proxy, "proxy", secret=True)
        if profile.certificate is not None:
            rows += self._certificate("3 certificate", profile.certificate, "certificate", secret=False)
        if profile.auth == "oidc" or bearers.origin_of(profile):
            rows.append(self._token())
        if profile.password_file is not None or profile.password_keyring or profile.auth == "userpass":
            rows.append(self._password())
        return rows

    def _certificate(self, row_id: str, path: Path, key: str, *, secret: bool) -> list[Credential]:
        kind = PROXY_KIND if secret else CERTIFICATE
        source = self._source(path, key)
        try:
            found = x509.read(path, f"the {key}", secret=secret)
        except CredentialProblem as problem:
            return [Credential(id=row_id, kind=kind, who="", source=source, problem=problem.summary, actions=offered(self._profile, kind))]
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
            actions=offered(self._profile, kind),
        )
        return [row, *(self._voms(row_id, number, ac, row) for number, ac in enumerate(found.voms))]

    def _voms(self, row_id: str, number: int, ac: x509.AttributeCertificate, proxy: Credential) -> Credential:
        earlier = ac.expires is not None and proxy.expires is not None and proxy.expires - ac.expires > _SAME
        return Credential(
            id=f"{row_id} ac{number}",
            kind=VOMS_AC,
            who=_shortened(ac.fqans),
            source="in the proxy",
            subject=proxy.subject,
            expires=ac.expires,
            not_before=ac.not_before,
            issuer=ac.authority,
            groups=ac.fqans,
            vo=ac.authority.partition("://")[0] if "://" in ac.authority else _vo(ac.fqans),
            problem=_ended(ac.not_before, ac.expires),
            note="signature not verified",
            ends_before="the proxy" if earlier else "",
            actions=offered(self._profile, VOMS_AC),
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
        blank = Credential(
            id=TOKEN,
            kind=ACCESS_TOKEN,
            who="",
            source=self._token_source(),
            renews=_renews(profile),
            actions=offered(profile, ACCESS_TOKEN),
            proofs=self._proofs if profile.auth == "oidc" else (),
        )
        try:
            token = rucio_session.bearer(profile, self._box.runtime_dir)
        except Problem as problem:
            return replace(blank, problem=problem.summary)
        claims = tokens.decode(token.reveal())
        if claims is None:
            return replace(blank, note="opaque: not a JSON Web Token, nothing can be read from it")
        if profile.auth == "oidc":
            self.subject = clean(claims.subject)
        overdue = blank.renews and claims.expires is not None and claims.expires - datetime.now(UTC) < OVERDUE
        facts = (("client", claims.client), ("WLCG profile", claims.profile), ("algorithm", claims.algorithm))
        return replace(
            blank,
            who=f"{claims.subject} · aud {' '.join(claims.audience) or 'none'}",
            subject=claims.subject,
            expires=claims.expires,
            not_before=claims.not_before or claims.issued,
            issuer=claims.issuer,
            scopes=claims.scopes,
            audience=claims.audience,
            groups=claims.groups,
            problem=_ended(claims.not_before, claims.expires),
            note="was to be renewed by now" if overdue else "decoded, signature not verified",
            renews=blank.renews and not overdue,
            facts=tuple((label, value) for label, value in facts if value),
        )

    def _is_own_proxy(self) -> bool:
        return self._profile.proxy == own_places.proxy(self._profile, self._box.runtime_dir)

    def _token_source(self) -> str:
        profile = self._profile
        if profile.token_file is not None:
            return self._source(profile.token_file, "token_file")
        where = bearers.origin_of(profile)
        named = {bearers.AGENT: f"oidc-agent account {profile.oidc_agent}", bearers.VAULT: f"log-in at {host_text(profile.issuer)}"}
        return named.get(where, profile.source_of("token"))

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


def offered(profile: Profile, kind: str) -> tuple[str, ...]:
    """What can be done with a credential of this kind in this profile: names of `services.ports_credentials.ACTIONS`."""
    certified = profile.certificate is not None and profile.key is not None
    can = {
        "proxy": certified,
        "voms": certified and bool(profile.voms),
        "log-in": bool(profile.issuer) and not profile.oidc_agent,
        "refresh": bool(profile.issuer or profile.oidc_agent),
        "narrow": bool(profile.issuer or profile.oidc_agent),
        "delegate": bool(profile.fts),
        "import": kind == PROXY_KIND or profile.token_file is not None or bool(profile.issuer),
        "drop": kind == PROXY_KIND or bool(profile.issuer),
    }
    return tuple(name for name in OFFERS.get(kind, ()) if can.get(name, True))


def _renews(profile: Profile) -> bool:
    """Is the access token replaced ahead of its end: by oidc-agent, or by a refresh token (asked for with `offline_access`)."""
    if profile.token_file is not None:
        return False
    return bool(profile.oidc_agent) or (bool(profile.issuer) and (not profile.scope or "offline_access" in profile.scope.split()))


def _vo(fqans: Sequence[str]) -> str:
    """The VO that FQANs name: `/escape/Role=operator` is of escape."""
    return fqans[0].split("/")[1] if fqans and fqans[0].startswith("/") else ""


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
