"""The grants this provider knows: code with PKCE, device, refresh, client credentials and token exchange."""

from __future__ import annotations

import hmac
import logging
import secrets
from typing import Any

from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc6749.errors import (
    AccessDeniedError,
    InvalidGrantError,
    InvalidRequestError,
    UnauthorizedClientError,
)
from authlib.oauth2.rfc6749.grants.base import BaseGrant, TokenEndpointMixin
from authlib.oauth2.rfc7636 import CodeChallenge, create_s256_code_challenge
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint, DeviceCodeGrant, DeviceCredentialMixin

from . import scopes
from .clients import DEVICE, EXCHANGE, Client
from .people import Visit
from .provider import Grant, InvalidTargetError, Provider
from .store import DEVICE_LIFETIME_S

log = logging.getLogger("oidc")

SECRET_METHODS = ["client_secret_basic", "client_secret_post"]
ALL_METHODS = [*SECRET_METHODS, "none"]
ACCESS_TOKEN_URN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105  # a type's name, no secret
JWT_URN = "urn:ietf:params:oauth:token-type:jwt"
POLL_INTERVAL_S = 2
"""Seconds between a device's polls: the provider is on the same machine, so shorter than the usual five."""


def _s256(verifier: str, challenge: str) -> bool:
    return hmac.compare_digest(create_s256_code_challenge(verifier), challenge)


class Pkce(CodeChallenge):
    """PKCE (RFC 7636) with S256 only; a public client must use it."""

    DEFAULT_CODE_CHALLENGE_METHOD = "S256"
    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)
    CODE_CHALLENGE_METHODS = {"S256": _s256}  # noqa: RUF012  # overrides Authlib's plain attribute

    def validate_code_challenge(self, grant: CodeGrant, redirect_uri: str) -> None:
        data = grant.request.payload.data
        if not data.get("code_challenge") and grant.request.client.entry.public:
            raise InvalidRequestError("A public client must send a 'code_challenge'.")
        if data.get("code_challenge") and data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("The 'code_challenge_method' must be S256.")
        super().validate_code_challenge(grant, redirect_uri)


class _Code:
    """An authorization code's row, as Authlib reads it."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.row = row
        self.code_challenge = row["challenge"]
        self.code_challenge_method = "S256"

    def get_redirect_uri(self) -> str:
        return str(self.row["redirect"])

    def get_scope(self) -> str:
        return str(self.row["scope"])


class CodeGrant(grants.AuthorizationCodeGrant):
    """Authorization code: two minutes, one use, bound to client and redirect URI; a replay ends what it gave."""

    TOKEN_ENDPOINT_AUTH_METHODS = ALL_METHODS
    server: Provider

    @staticmethod
    def validate_authorization_redirect_uri(request: Any, client: Client) -> str:
        """The redirect URI of the request if it is one of the client's; its text is not repeated in the error."""
        uri = request.payload.redirect_uri
        if not uri or not client.check_redirect_uri(uri):
            raise InvalidRequestError("The redirect_uri is missing or not one of this client.")
        return str(uri)

    def validate_requested_scope(self) -> None:
        """Refuse scopes that do not exist or that the client may not have, and malformed audiences."""
        self.server.requested_scopes(self.request.client, self.request.payload.scope)
        self.server.requested_audience()

    def create_authorization_response(self, redirect_uri: str, grant_user: Visit | None) -> tuple[int, str, list[tuple[str, str]]]:
        """Send the browser back with a code, or with access_denied when the person may have nothing of what was asked."""
        if grant_user and self.request.scope and not grant_user.user.allowed(self.request.scope.split()):
            raise AccessDeniedError("The person may have none of these scopes.", redirect_uri=redirect_uri)
        answer: tuple[int, str, list[tuple[str, str]]] = super().create_authorization_response(redirect_uri, grant_user)
        return answer

    def save_authorization_code(self, code: str, request: Any) -> None:
        visit: Visit = request.user
        data = request.payload.data
        self.server.note(code)
        self.server.store.add_code(
            code,
            client=request.client.client_id,
            subject=visit.user.name,
            scope=scopes.join(visit.user.allowed((request.scope or "").split())),
            audience=self.server.requested_audience(),
            redirect=request.payload.redirect_uri,
            challenge=data.get("code_challenge"),
            nonce=data.get("nonce"),
            login_time=visit.time,
        )

    def query_authorization_code(self, code: str, client: Client) -> _Code | None:
        row = self.server.store.code(code)
        if not row or row["client"] != client.client_id:
            return None
        if row["used"]:
            self.server.store.revoke_family(row["family"])
            log.warning("authorization code of %s used twice: its tokens are revoked", client.client_id)
            return None
        return _Code(row) if row["expires"] > self.server.store.now() else None

    def authenticate_user(self, authorization_code: _Code) -> object:
        return self.server.user(authorization_code.row["subject"])

    def delete_authorization_code(self, authorization_code: _Code) -> None:
        """Nothing: the code was taken before the token was made."""

    def generate_token(self, *_: object, **__: object) -> dict[str, Any]:
        """Take the code, then make its tokens."""
        row = self.request.authorization_code.row
        if not self.server.store.use_code(self.request.form["code"]):
            self.server.store.revoke_family(row["family"])
            raise InvalidGrantError("Invalid 'code' in request.")
        grant = Grant(self.request.client, row["subject"], row["scope"], row["audience"], row["family"], row["login_time"], row["nonce"])
        return self.server.issue(grant)


class DeviceAuthorization(DeviceAuthorizationEndpoint):
    """Where a device asks for its codes (RFC 8628 section 3.1); `audience` is taken here too."""

    CLIENT_AUTH_METHODS = ALL_METHODS
    EXPIRES_IN = DEVICE_LIFETIME_S
    INTERVAL = POLL_INTERVAL_S
    server: Provider

    def authenticate_client(self, request: Any) -> Client:
        client: Client = super().authenticate_client(request)
        if not client.check_grant_type(DEVICE):
            raise UnauthorizedClientError("The client may not use the device flow.")
        self.server.requested_scopes(client, request.payload.scope)
        self.server.requested_audience()
        return client

    def get_verification_uri(self) -> str:
        return self.server.issuer + "device"

    def save_device_credential(self, client_id: str, scope: str | None, data: dict[str, Any]) -> None:
        wanted = scopes.join(scopes.split(scope))
        audience = self.server.requested_audience()
        self.server.note(data["device_code"])
        self.server.store.add_device(data["device_code"], data["user_code"], client_id, wanted, audience, self.INTERVAL)


class _Device(DeviceCredentialMixin):
    """A device code's row, as Authlib reads it."""

    def __init__(self, row: dict[str, Any], now: int) -> None:
        self.row = row
        self._now = now

    def get_client_id(self) -> str:
        return str(self.row["client"])

    def get_scope(self) -> str:
        return str(self.row["scope"])

    def get_user_code(self) -> str:
        return str(self.row["user_code"])

    def is_expired(self) -> bool:
        return bool(self.row["expires"] <= self._now)


class DeviceGrant(DeviceCodeGrant):
    """The device's poll (RFC 8628 section 3.4); it may ask for narrower scopes and another audience than at first."""

    TOKEN_ENDPOINT_AUTH_METHODS = ALL_METHODS
    server: Provider

    def query_device_credential(self, device_code: str) -> _Device:
        row = self.server.store.device(device_code)
        if not row or row["used"]:
            raise InvalidGrantError("Invalid 'device_code' in request.")
        return _Device(row, self.server.store.now())

    def query_user_grant(self, _user_code: str) -> tuple[object, bool] | None:
        row = self.server.store.device(self.request.form["device_code"])
        if not row or not row["decision"]:
            return None
        return self.server.user(row["subject"]), row["decision"] == "allow"

    def should_slow_down(self, _credential: _Device) -> bool:
        return self.server.store.polled_too_soon(self.request.form["device_code"])

    def generate_token(self, *_: object, **__: object) -> dict[str, Any]:
        """Take the device code, then make its tokens."""
        code = self.request.form["device_code"]
        row = self.server.store.device(code) or {}
        wanted = self.server.narrowed(row["scope"], self.request.payload.scope)
        self.server.requested_audience()
        if not self.server.store.use_device(code):
            raise InvalidGrantError("Invalid 'device_code' in request.")
        grant = Grant(self.request.client, row["subject"], row["scope"], row["audience"], secrets.token_hex(16), row["login_time"])
        return self.server.issue(grant, wanted)


class _Refresh:
    """A refresh token's family, as Authlib reads it."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.row = row

    def check_client(self, client: Client) -> bool:
        return bool(self.row["client"] == client.client_id)

    def get_scope(self) -> str:
        return str(self.row["scope"])


class RefreshGrant(grants.RefreshTokenGrant):
    """Refresh with rotation: each token works once, and one shown twice ends its family (RFC 9700 section 4.14.2)."""

    TOKEN_ENDPOINT_AUTH_METHODS = ALL_METHODS
    server: Provider

    def authenticate_refresh_token(self, refresh_token: str) -> _Refresh | None:
        store = self.server.store
        row = store.refresh(refresh_token)
        if not row or row["revoked"] or row["expires"] <= store.now() or row["client"] != self.request.client.client_id:
            return None
        if row["used"]:
            store.revoke_family(row["id"])
            log.warning("refresh token of %s for %s used twice: all its tokens are revoked", row["client"], row["subject"])
            return None
        return _Refresh(row)

    def _validate_token_scope(self, token: _Refresh) -> None:
        self.server.narrowed(token.get_scope(), self.request.payload.scope)
        self.server.requested_audience()

    def authenticate_user(self, refresh_token: _Refresh) -> object:
        subject = refresh_token.row["subject"]
        return self.server.user(subject) or self.server.clients.get(subject)

    def revoke_old_credential(self, refresh_token: _Refresh) -> None:
        """Nothing: the old token was taken before the new one was made."""

    def generate_token(self, *_: object, **__: object) -> dict[str, Any]:
        """Take the old refresh token, then make new ones; the family keeps all that was granted."""
        row = self.request.refresh_token.row
        grant = Grant(self.request.client, row["subject"], row["scope"], row["audience"], row["id"], row["login_time"])
        wanted = self.server.narrowed(row["scope"], self.request.payload.scope)
        self.server.still_allowed(grant, wanted)
        if not self.server.store.use_refresh(self.request.form["refresh_token"]):
            raise InvalidGrantError
        return self.server.issue(grant, wanted, first=False)


class ClientCredentials(grants.ClientCredentialsGrant):
    """A client's own token: `sub` is the client (Rucio's form fields are `audience` and `scope`, rucio/core/oidc.py)."""

    TOKEN_ENDPOINT_AUTH_METHODS = SECRET_METHODS
    server: Provider

    def validate_requested_scope(self) -> None:
        """Refuse scopes that do not exist or that the client may not have."""
        self.server.requested_scopes(self.request.client, self.request.payload.scope)

    def generate_token(self, *_: object, **__: object) -> dict[str, Any]:
        """A token without refresh and without a person."""
        client: Client = self.request.client
        return self.server.issue(Grant(client, client.client_id, scopes.join(scopes.split(self.request.payload.scope)), ""))


class TokenExchange(BaseGrant, TokenEndpointMixin):
    """A token for the same subject with narrower scope or another audience (RFC 8693), for Rucio and FTS."""

    GRANT_TYPE = EXCHANGE
    TOKEN_ENDPOINT_AUTH_METHODS = SECRET_METHODS
    server: Provider

    def validate_token_request(self) -> None:
        """Check client, subject token and what is asked for."""
        client: Client = self.authenticate_token_endpoint_client()
        if not client.check_grant_type(EXCHANGE):
            raise UnauthorizedClientError("The client may not exchange tokens.")
        form = self.request.form
        if form.get("subject_token_type") not in (ACCESS_TOKEN_URN, JWT_URN) or not form.get("subject_token"):
            raise InvalidRequestError("The subject_token must be an access token.")
        if form.get("requested_token_type", ACCESS_TOKEN_URN) not in (ACCESS_TOKEN_URN, JWT_URN):
            raise InvalidRequestError("Only access tokens are given in exchange.")
        if form.get("actor_token"):
            raise InvalidRequestError("Actor tokens are not supported.")
        subject = self.server.live_access_token(form["subject_token"])
        if not subject:
            raise InvalidGrantError("The subject_token is not valid.")
        self.request.client = client
        wanted = self.server.narrowed(subject["scope"], self.request.payload.scope)
        self.server.requested_scopes(client, wanted)
        if not self.server.requested_audience() and not subject.get("aud"):
            raise InvalidTargetError
        audience = subject["aud"] if isinstance(subject["aud"], str) else " ".join(subject["aud"])
        self._grant = Grant(client, subject["sub"], wanted, audience, secrets.token_hex(16))

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """The new token; a refresh token with it when `offline_access` was covered by the subject token."""
        token = {**self.server.issue(self._grant), "issued_token_type": ACCESS_TOKEN_URN}
        return 200, token, self.TOKEN_RESPONSE_HEADER


def register(server: Provider) -> None:
    """Tell the server of all grants and of the device endpoint."""
    server.register_grant(CodeGrant, [Pkce(required=True)])
    for grant in (DeviceGrant, RefreshGrant, ClientCredentials, TokenExchange):
        server.register_grant(grant)
    server.register_endpoint(DeviceAuthorization)
