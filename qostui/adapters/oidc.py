"""Tokens from an OpenID provider: discovery, the device flow, refresh, other scopes and audiences, revocation.

OpenID Connect Discovery 1.0 section 4, RFC 8628 (device flow), RFC 6749 section 6 (refresh), RFC 7009 (revocation),
RFC 6749 section 5.2 (what refusals are called).
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any
from urllib.parse import quote_plus, urlsplit

from ..domain.errors import CredentialProblem, Problem, ServerProblem, UsageProblem
from ..domain.profile import Profile, Secret, host_text, origin
from ..domain.text import clean
from ..services.feeds import Cancel, Cancelled
from ..services.ports_credentials import DeviceCode
from . import keyring_, tokens
from .errors import safe_detail, translated
from .http import OriginSession
from .rucio_session import verification

DEFAULT_SCOPE = "openid profile offline_access"
"""Who we are, which is what Rucio asks for, and a refresh token."""
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
MAX_BYTES = 1 << 18
"""No answer of a provider is larger; one that is, is not read to its end."""
ANSWER_S = 60.0
"""An answer that trickles is broken off after so long."""
INTERVAL_S, LEAST_INTERVAL_S, MOST_INTERVAL_S, SLOW_DOWN_S = 5.0, 1.0, 60.0, 5.0
"""RFC 8628 section 3.2 (5 s when the provider names no interval) and 3.5 (5 s more for each slow_down)."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Where a provider may do without TLS."""
CODE_S, MOST_CODE_S = 900.0, 86400.0
_SECRETS = ("refresh_token", "device_code", "token")
_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")

REFUSALS: Mapping[str, tuple[str, str]] = {
    "access_denied": ("the log-in was refused in the browser", "log in again, and allow it"),
    "expired_token": ("nobody allowed the log-in in time", "log in again, and enter the code in the browser"),
    "invalid_grant": ("the refresh token is not accepted any more: it ended, or was revoked or used elsewhere", "log in again"),
    "invalid_client": ("the client is not accepted", "check client_id and client_secret_keyring of the profile"),
    "unauthorized_client": ("the client may not do that", "ask the provider to allow the device flow and refresh tokens for client_id"),
    "unsupported_grant_type": ("it does not know this way of getting tokens", "use oidc-agent, or a token file"),
    "invalid_scope": ("a scope is not granted", "ask for less: check scope of the profile"),
    "invalid_target": ("the audience is not known there", "check the audience"),
}
"""Error of the provider -> what it means here, and what to do."""


class _Refused(Exception):
    """The provider's own no: its error code and its words."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(code)
        self.code = code
        self.words = words


@dataclass(frozen=True)
class Granted:
    """What a provider gave."""

    token: Secret
    expires: datetime | None
    refresh: Secret | None
    """A refresh token that replaces the one shown; None: the one shown goes on."""
    scope: str
    """What was granted in the provider's words, else what the token says."""
    audience: tuple[str, ...]


@dataclass(frozen=True)
class _Metadata:
    token: str
    device: str
    revocation: str


class Provider:
    """The OpenID provider of one profile; each method raises Problem."""

    def __init__(self, profile: Profile, pause: Callable[[float, Cancel], None] | None = None) -> None:
        if not profile.issuer or not profile.client_id:
            raise UsageProblem("the profile names no OpenID provider", step="give it issuer and client_id")
        self._profile = profile
        self._pause = pause or _pause
        self._metadata: _Metadata | None = None
        self._session: OriginSession | None = None

    @property
    def _host(self) -> str:
        return host_text(self._profile.issuer)

    def log_in(self, told: Callable[[DeviceCode], None], cancel: Cancel) -> Granted:
        """The whole device flow; raises Cancelled too."""
        try:
            return self._log_in(told, cancel)
        except Problem:
            if not cancel.wanted:
                raise Cancelled from None
            raise

    def _log_in(self, told: Callable[[DeviceCode], None], cancel: Cancel) -> Granted:
        profile = self._profile
        wanted = {"scope": profile.scope or DEFAULT_SCOPE, **({"audience": profile.audience} if profile.audience else {})}
        if not self._endpoints(cancel).device:
            raise CredentialProblem(f"{self._host} has no device flow", step="use oidc-agent, or a token file")
        try:
            answer = self._post(self._endpoints(cancel).device, wanted, cancel)
        except _Refused as refused:
            raise self._refusal(refused) from None
        code = str(answer.get("device_code") or "")
        life = _seconds(answer.get("expires_in"), CODE_S, 1.0, MOST_CODE_S)
        if not code:
            raise self._senseless("no device_code")
        told(self._shown(answer, life))
        # Some providers take the audience at the beginning, others at the end only: it is sent both times.
        return self._poll({"grant_type": DEVICE, "device_code": code, **wanted}, answer, time.monotonic() + life, cancel)

    def _shown(self, answer: Mapping[str, Any], life: float) -> DeviceCode:
        address = str(answer.get("verification_uri") or answer.get("verification_url") or "")
        whole = str(answer.get("verification_uri_complete") or "")
        for each in filter(None, (address, whole)):
            if urlsplit(each).scheme not in ("http", "https") or len(each) > 2000:
                raise self._senseless("no address to log in at")
        if not address or not answer.get("user_code"):
            raise self._senseless("no address or code to log in with")
        ends = datetime.now(UTC) + timedelta(seconds=life)
        return DeviceCode(clean(address), clean(str(answer["user_code"])[:64]), clean(whole), ends)

    def _poll(self, form: dict[str, str], answer: Mapping[str, Any], deadline: float, cancel: Cancel) -> Granted:
        interval = _seconds(answer.get("interval"), INTERVAL_S, LEAST_INTERVAL_S, MOST_INTERVAL_S)
        trouble: Problem | None = None
        while time.monotonic() < deadline:
            self._pause(interval, cancel)
            if not cancel.wanted:
                raise Cancelled
            try:
                return self._granted(self._post(self._endpoints(cancel).token, form, cancel), form)
            except _Refused as refused:
                trouble = None
                if refused.code == "slow_down":
                    interval = min(interval + SLOW_DOWN_S, MOST_INTERVAL_S)
                elif refused.code != "authorization_pending":
                    known = refused if refused.code != "invalid_grant" else _Refused("expired_token", refused.words)
                    raise self._refusal(known) from None
            except Problem as problem:
                if not problem.retry:
                    raise
                # RFC 8628 section 3.5: a provider that does not answer is asked less often, until the code ends.
                trouble, interval = problem, min(interval * 2, MOST_INTERVAL_S)
        raise trouble or self._refusal(_Refused("expired_token", ""))

    def refresh(self, token: Secret, scope: str = "", audience: str = "", cancel: Cancel | None = None) -> Granted:
        """A new access token; with `scope` and `audience`, one of these only."""
        form = {"grant_type": "refresh_token", "refresh_token": token.reveal()}
        form |= {name: value for name, value in (("scope", scope), ("audience", audience or self._profile.audience)) if value}
        try:
            return self._granted(self._post(self._endpoints(cancel).token, form, cancel), form)
        except _Refused as refused:
            raise self._refusal(refused) from None

    def revoke(self, token: Secret) -> bool:
        """Tell the provider that the refresh token is not used any more; False where it cannot be told."""
        address = self._endpoints(None).revocation
        if not address:
            return False
        try:
            self._post(address, {"token": token.reveal(), "token_type_hint": "refresh_token"}, None, empty=True)
        except _Refused as refused:
            raise self._refusal(refused) from None
        return True

    def _endpoints(self, cancel: Cancel | None) -> _Metadata:
        if self._metadata is None:
            self._metadata = self._discovered(cancel)
        return self._metadata

    def _discovered(self, cancel: Cancel | None) -> _Metadata:
        issuer = self._profile.issuer
        try:
            scheme, host, _ = origin(issuer)
        except ValueError as error:
            raise UsageProblem(f"the issuer {clean(issuer)} is no address", step="check issuer of the profile") from error
        secure = scheme == "https"
        if not secure and host not in LOOPBACK:
            raise UsageProblem(f"{self._host} would hear tokens and codes unprotected", step="the issuer has to begin with https://")
        session = OriginSession((issuer,), verification(self._profile), "the OpenID provider")
        if cancel is not None:
            cancel.closes(session.end)
        document, status = self._asked(session, "GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if status != 200 or document is None:
            raise ServerProblem(f"{self._host} does not answer as an OpenID provider (status {status})", step="check issuer of the profile")
        named = document.get("issuer")
        if named != issuer:
            # A provider that speaks for another could be handed that one's tokens (Discovery section 4.3).
            raise ServerProblem(
                f"{self._host} names itself {clean(str(named)[:200])}, not {clean(issuer)}",
                step="spell issuer in the profile as it does, final slash included, if that is who you mean",
            )
        found = _Metadata(
            *(str(document.get(name) or "") for name in ("token_endpoint", "device_authorization_endpoint", "revocation_endpoint"))
        )
        if not found.token:
            raise self._senseless("no token_endpoint")
        used = [each for each in (found.token, found.device, found.revocation) if each]
        for each in used:
            try:
                scheme, host, _ = origin(each)
            except ValueError:
                scheme = host = ""
            if not host or (scheme != "https" and (secure or host not in LOOPBACK)):
                raise self._senseless("an endpoint without https")
        self._session = OriginSession(tuple(used), verification(self._profile), "the OpenID provider")
        return found

    def _post(self, address: str, form: Mapping[str, str], cancel: Cancel | None, *, empty: bool = False) -> dict[str, Any]:
        """The answer to a form; raises _Refused when the provider says no, Problem when it fails."""
        session = self._session
        if session is None:
            raise AssertionError("asked before it was discovered")
        if cancel is not None:
            if not cancel.wanted:
                raise Cancelled
            cancel.closes(session.end)
        auth = None
        sent = dict(form)
        if self._profile.client_secret_keyring:
            secret = keyring_.get(self._profile.client_secret_keyring).reveal()
            # RFC 6749 section 2.3.1: both are form-encoded before they are put together.
            auth = (quote_plus(self._profile.client_id), quote_plus(secret))
        else:
            sent["client_id"] = self._profile.client_id
        document, status = self._asked(session, "POST", address, data=sent, auth=auth)
        if status == 200 and (document is not None or empty):
            return document or {}
        if document is not None and isinstance(document.get("error"), str) and status < 500:
            words = str(document.get("error_description") or "")
            for name in _SECRETS:
                # Some repeat what they were sent.
                words = words.replace(form.get(name) or "\0", "…")
            raise _Refused(document["error"][:100], safe_detail(words[:400]))
        if document is None or status == 200:
            raise ServerProblem(
                f"{self._host} answers something else than an OpenID provider's JSON (status {status})",
                step="check issuer of the profile; a portal or a proxy may answer in its place",
            )
        raise ServerProblem(f"{self._host} fails (status {status})", detail=safe_detail(str(document)[:400]), step="try again later")

    def _asked(self, session: OriginSession, method: str, address: str, **more: Any) -> tuple[dict[str, Any] | None, int]:
        """(JSON object of the answer, None for anything else; status). However it comes, it has an end."""
        content = b""
        with (
            session.within(ANSWER_S),
            translated(self._profile.issuer, "the OpenID provider"),
            closing(session.request(method, address, headers={"Accept": "application/json"}, stream=True, **more)) as response,
        ):
            for part in response.iter_content(16384):
                content += part
                if len(content) > MAX_BYTES:
                    return None, response.status_code
        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            found = None
        return found if isinstance(found, dict) else None, response.status_code

    def _granted(self, answer: Mapping[str, Any], form: Mapping[str, str]) -> Granted:
        token, refresh = answer.get("access_token"), answer.get("refresh_token")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise self._senseless("no access token")
        if str(answer.get("token_type") or "bearer").lower() != "bearer":
            raise self._senseless("a token of a kind that is not known here")
        claims = tokens.decode(token) or tokens.TokenClaims()
        life = _seconds(answer.get("expires_in"), math.nan, 0.0, 10 * 366 * 86400.0)
        expires = claims.expires if math.isnan(life) else datetime.now(UTC) + timedelta(seconds=life)
        said = answer.get("scope")
        scope = said if isinstance(said, str) else " ".join(claims.scopes) or form.get("scope", "")
        kept = Secret(refresh) if isinstance(refresh, str) and _TOKEN.fullmatch(refresh) else None
        return Granted(Secret(token), expires, kept, scope, claims.audience)

    def _senseless(self, lacks: str) -> ServerProblem:
        return ServerProblem(f"the answer of {self._host} makes no sense: {lacks}", step="is this really the OpenID provider?")

    def _refusal(self, refused: _Refused) -> CredentialProblem:
        meaning, step = REFUSALS.get(refused.code, (f"it refuses: {clean(refused.code)}", "ask who runs the provider"))
        return CredentialProblem(f"{self._host}: {meaning}", detail=clean(f"{refused.code}: {refused.words}"), step=step)


def _seconds(value: object, default: float, least: float, most: float) -> float:
    """A number of seconds that makes sense, whatever was sent."""
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    return default if math.isnan(number) else min(max(number, least), most)


def _pause(seconds: float, cancel: Cancel) -> None:
    """Wait, but not after it was cancelled."""
    ended = Event()
    cancel.closes(ended.set)
    ended.wait(seconds)
