"""The authorization server: Authlib's, with the lake's clients, and the one place where tokens are made."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749.errors import InvalidScopeError, OAuth2Error
from flask import Flask, request

from . import claims, scopes
from .clients import REFRESH, Client
from .keys import ACCESS_TOKEN_TYPE, SigningKey
from .people import Doorkeeper, User
from .store import Store

log = logging.getLogger("oidc")


class InvalidTargetError(OAuth2Error):
    """The audience asked for is malformed (RFC 8707 section 2)."""

    error = "invalid_target"
    description = "The requested audience or resource is malformed."


@dataclass(frozen=True)
class Grant:
    """What was granted, by whom, to whom: all tokens of one consent come from it."""

    client: Client
    subject: str
    scope: str
    audience: str
    """Space separated; empty: the WLCG `any` audience."""
    family: str | None = None
    login_time: int | None = None
    nonce: str | None = None


class Provider(AuthorizationServer):
    """Authlib's server over the lake's clients, people, key and store."""

    def __init__(
        self,
        app: Flask,
        issuer: str,
        clients: dict[str, Client],
        doorkeeper: Doorkeeper,
        key: SigningKey,
        store: Store,
        note: Callable[[str], None],
    ) -> None:
        self.issuer = issuer
        self.clients = clients
        self.doorkeeper = doorkeeper
        self.key = key
        self.store = store
        self.note = note
        """Told every secret that is handed out."""
        super().__init__(app, query_client=clients.get, save_token=lambda _token, _request: None)

    def validate_requested_scope(self, scope: str | None) -> None:
        """Refuse whatever is outside the grammar."""
        _split(scope)

    def requested_scopes(self, client: Client, scope: str | None) -> list[str]:
        """The scopes asked for; raises InvalidScopeError when one does not exist or the client may not have it."""
        wanted = _split(scope)
        if any(scopes.kind(each) not in client.entry.kinds for each in wanted):
            raise InvalidScopeError("The client may not ask for one of these scopes.")
        return wanted

    def narrowed(self, granted: str, scope: str | None) -> str:
        """The scopes asked for, each covered by what was granted; all that was granted when none is named."""
        wanted = _split(scope)
        if not all(scopes.covers(granted.split(), each) for each in wanted):
            raise InvalidScopeError("A requested scope exceeds what was granted.")
        return scopes.join(wanted) or granted

    def requested_audience(self) -> str:
        """The audiences of this request's `audience` and `resource` parameters, space separated."""
        try:
            return " ".join(claims.audiences(request.values.getlist("audience") + request.values.getlist("resource")))
        except claims.BadAudience as error:
            raise InvalidTargetError from error

    def user(self, subject: str) -> User | None:
        """The person with this subject; None for clients and strangers."""
        return self.doorkeeper.users.get(subject)

    def still_allowed(self, grant: Grant, wanted: str) -> str:
        """Those of the wanted scopes that the subject may have today; raises InvalidScopeError when none is left."""
        user = self.user(grant.subject)
        allowed = user.allowed(wanted.split()) if user else wanted.split() if grant.subject in self.clients else []
        if wanted and not allowed:
            raise InvalidScopeError("The subject may have none of these scopes.")
        return scopes.join(allowed)

    def issue(self, grant: Grant, wanted: str | None = None, first: bool = True) -> dict[str, Any]:
        """The token answer for `grant`, cut down to the `wanted` scopes and aimed at this request's audience.

        `first` starts the family of refresh tokens, where client and consent allow one; otherwise it goes on.
        """
        now = int(time.time())
        scope = self.still_allowed(grant, grant.scope if wanted is None else wanted)
        audience = self.requested_audience() or grant.audience
        body = claims.access_claims(
            self.issuer, grant.subject, grant.client.client_id, scope, tuple(audience.split()), now, claims.ACCESS_LIFETIME_S
        )
        access_token = self.key.sign(body, ACCESS_TOKEN_TYPE)
        answer: dict[str, Any] = {"access_token": access_token, "token_type": "Bearer", "expires_in": claims.ACCESS_LIFETIME_S}
        answer["scope"] = scope
        if grant.family:
            self.store.add_issued(body["jti"], grant.family, body["exp"])
            if first and "offline_access" in grant.scope.split() and grant.client.check_grant_type(REFRESH):
                self.store.add_family(grant.family, grant.client.client_id, grant.subject, grant.scope, grant.audience, grant.login_time)
                answer["refresh_token"] = self.store.add_refresh(grant.family)
            elif not first:
                answer["refresh_token"] = self.store.add_refresh(grant.family)
        if "openid" in scope.split() and self.user(grant.subject):
            identity = claims.id_claims(
                self.issuer, grant.subject, grant.client.client_id, scope, access_token, now, grant.nonce, grant.login_time
            )
            answer["id_token"] = self.key.sign(identity, "JWT")
        for kind in ("access_token", "refresh_token", "id_token"):
            if kind in answer:
                self.note(answer[kind])
        log.info(
            "token issued to %s for %s, scope %r, audience %r, id %s",
            grant.client.client_id,
            grant.subject,
            scope,
            body["aud"],
            body["jti"],
        )
        return answer

    def live_access_token(self, token: str) -> dict[str, Any] | None:
        """The claims of an access token of this provider that is valid now; None for any other string."""
        body = self.key.verified(token, ACCESS_TOKEN_TYPE)
        if not body or body.get("iss") != self.issuer or self.store.is_revoked(str(body.get("jti"))):
            return None
        now = time.time()
        return body if body.get("nbf", 0) <= now + 5 and now < body.get("exp", 0) else None


def _split(scope: str | None) -> list[str]:
    try:
        return scopes.split(scope)
    except scopes.UnknownScope as error:
        raise InvalidScopeError from error
