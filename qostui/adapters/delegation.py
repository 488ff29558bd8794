"""Delegation to FTS: FTS makes a key and asks us to sign its certificate request with our proxy (FTS 3 REST, `/delegation`).

The key never leaves FTS; what we sign is a proxy of our proxy (RFC 3820), which ends with ours.
"""

from __future__ import annotations

import json
import re
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509 as library

from ..domain.errors import CredentialProblem, DeniedProblem, ServerProblem, UsageProblem
from ..domain.profile import Profile, host_text, origin
from . import errors, own_files, proxy_maker, secret_files
from .http import OriginSession
from .rucio import moment
from .rucio_session import verification

WHAT = "FTS"
MAX_BYTES = 1 << 17
ANSWER_S = 60.0
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


def delegate(profile: Profile, now: datetime | None = None) -> datetime:
    """Sign what the profile's FTS asks for; until when it may act for us there, as FTS says. Raises Problem."""
    if not profile.fts:
        raise UsageProblem("the profile names no FTS", step="give it fts = https://host:8446")
    try:
        origin(profile.fts)
    except ValueError as error:
        raise UsageProblem("fts of the profile is no address", step="it looks like https://host:8446") from error
    at = now or datetime.now(UTC)
    shown = own_files.client_certificate(profile, "nothing was delegated")
    owner = _owner(shown, at)
    fts = _Fts(profile, shown)
    who = fts.document("GET", "/whoami")
    number = str(who.get("delegation_id") or "")
    if not _ID.fullmatch(number):
        raise CredentialProblem(f"FTS at {fts.host} does not know who we are", step="look at the proxy in the credentials pane")
    request = _request(fts.call("GET", f"/delegation/{number}/request"), fts.host)
    made = proxy_maker.signed(owner, request.public_key(), owner.ends, at)
    chain = b"".join(proxy_maker.pem(each) for each in (made, *owner.chain))
    fts.call("PUT", f"/delegation/{number}/credential", data=chain, headers={"Content-Type": "text/plain"})
    kept = fts.document("GET", f"/delegation/{number}")
    ends = moment(kept.get("termination_time"))
    if ends is None or ends <= at:
        raise ServerProblem(f"FTS at {fts.host} took the proxy, but does not keep it", step="try again; ask who runs it")
    return ends


def _owner(shown: str | tuple[str, str], now: datetime) -> proxy_maker.Holder:
    certificate, key = (shown, shown) if isinstance(shown, str) else shown
    content = secret_files.read_secret(Path(key), "the key")
    public = content if key == certificate else Path(certificate).read_bytes()[: secret_files.MAX_BYTES]
    return proxy_maker.holder(public, content, None, f"the credential {certificate}", now)


def _request(content: bytes, host: str) -> library.CertificateSigningRequest:
    try:
        found = library.load_pem_x509_csr(content)
        if found.is_signature_valid:
            return found
    except ValueError:
        pass
    raise ServerProblem(f"FTS at {host} asks for something that is no certificate request", step="is fts of the profile really an FTS?")


class _Fts:
    """Calls to one FTS with one certificate."""

    def __init__(self, profile: Profile, certificate: str | tuple[str, str]) -> None:
        self._address = profile.fts.rstrip("/")
        self._certificate = certificate
        self._session = OriginSession((self._address,), verification(profile), WHAT)
        self.host = host_text(self._address)

    def call(self, method: str, path: str, **more: Any) -> bytes:
        """The content of a good answer; raises Problem for any other."""
        target = f"{self._address}{path}"
        more["headers"] = {"Accept": "application/json, text/plain, */*", **more.get("headers", {})}
        with (
            self._session.within(ANSWER_S),
            errors.translated(target, WHAT),
            closing(self._session.request(method, target, cert=self._certificate, stream=True, **more)) as answer,
        ):
            content: bytes = answer.raw.read(MAX_BYTES, decode_content=True)
        if answer.status_code // 100 == 2:
            return content
        if answer.status_code == 403:
            raise DeniedProblem(
                f"FTS at {self.host} does not let us delegate",
                detail=errors.safe_detail(content[:400].decode("utf-8", "replace")),
                step="is the proxy of a VO that this FTS serves?",
            )
        raise errors.from_status(answer.status_code, answer.headers, content[:4096], self.host, WHAT)

    def document(self, method: str, path: str) -> dict[str, Any]:
        """The JSON object of an answer; raises Problem."""
        content = self.call(method, path)
        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise ServerProblem(f"{self.host} does not answer as an FTS", step="check fts of the profile")
        return found
