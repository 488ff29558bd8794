"""What programs speak with the provider: discovery, keys, tokens, device codes, introspection, revocation, userinfo."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from flask import Blueprint, Response, jsonify, request

from . import claims, scopes
from .clients import CODE, DEVICE, EXCHANGE, OWN, REFRESH, Client
from .grants import ALL_METHODS, SECRET_METHODS, DeviceAuthorization
from .keys import ALGORITHM
from .provider import Provider

KEYS_MAX_AGE_S = 300


class _Presented:
    """A token someone shows: an access token's claims, or a refresh token's row."""

    def __init__(self, server: Provider, access: dict[str, Any] | None, refresh: dict[str, Any] | None) -> None:
        self.server = server
        self.access = access
        self.refresh = refresh

    @property
    def client_id(self) -> str:
        return str(self.access["client_id"] if self.access else self.refresh["client"] if self.refresh else "")

    def check_client(self, client: Client) -> bool:
        return self.client_id == client.client_id

    def is_expired(self) -> bool:
        return bool(self.refresh and self.refresh["expires"] <= self.server.store.now())

    def is_revoked(self) -> bool:
        return bool(self.refresh and (self.refresh["revoked"] or self.refresh["used"]))


def _presented(server: Provider, token: str) -> _Presented | None:
    access = server.live_access_token(token) if token.count(".") == 2 else None
    refresh = None if access else server.store.refresh(token)
    return _Presented(server, access, refresh) if access or refresh else None


class Introspection(IntrospectionEndpoint):
    """RFC 7662 for JWT access tokens of anyone, and for a client's own refresh tokens."""

    CLIENT_AUTH_METHODS = SECRET_METHODS

    def query_token(self, token_string: str, _hint: str | None) -> _Presented | None:
        return _presented(self.server, token_string)

    def check_permission(self, token: _Presented, client: Client, _request: object) -> bool:
        return token.access is not None or token.check_client(client)

    def introspect_token(self, token: _Presented) -> dict[str, Any]:
        if token.access:
            return {"active": True, "token_type": "Bearer", "username": token.access["sub"], **token.access}
        row = token.refresh or {}
        return {
            "active": True,
            "client_id": row["client"],
            "username": row["subject"],
            "sub": row["subject"],
            "scope": row["scope"],
            "iss": self.server.issuer,
            "exp": row["expires"],
        }


class Revocation(RevocationEndpoint):
    """RFC 7009: an access token alone, or a refresh token with its whole family."""

    CLIENT_AUTH_METHODS = ALL_METHODS

    def query_token(self, token_string: str, _hint: str | None) -> _Presented | None:
        return _presented(self.server, token_string)

    def revoke_token(self, token: _Presented, _request: object) -> None:
        if token.access:
            self.server.store.revoke(token.access["jti"], token.access["exp"])
        elif token.refresh:
            self.server.store.revoke_family(token.refresh["id"])


def metadata(issuer: str) -> dict[str, Any]:
    """The discovery document (OpenID Connect Discovery 1.0 section 3, RFC 8414 section 2)."""
    return {
        "issuer": issuer,
        "authorization_endpoint": issuer + "authorize",
        "token_endpoint": issuer + "token",
        "device_authorization_endpoint": issuer + "device_authorization",
        "userinfo_endpoint": issuer + "userinfo",
        "jwks_uri": issuer + "jwks",
        "introspection_endpoint": issuer + "introspect",
        "revocation_endpoint": issuer + "revoke",
        "scopes_supported": [f"{kind}:/" if kind.startswith("storage.") else kind for kind in scopes.KINDS],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [CODE, REFRESH, DEVICE, OWN, EXCHANGE],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "token_endpoint_auth_methods_supported": ALL_METHODS,
        "introspection_endpoint_auth_methods_supported": SECRET_METHODS,
        "revocation_endpoint_auth_methods_supported": ALL_METHODS,
        "code_challenge_methods_supported": ["S256"],
        "claims_supported": ["sub", "iss", "aud", "exp", "iat", "name", "preferred_username", "email", "email_verified", "wlcg.groups"],
        "prompt_values_supported": ["none", "login", "consent"],
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "claims_parameter_supported": False,
    }


def blueprint(server: Provider) -> Blueprint:
    """The routes that programs use."""
    routes = Blueprint("endpoints", __name__)
    for endpoint in (Introspection, Revocation):
        server.register_endpoint(endpoint)

    @routes.get("/.well-known/openid-configuration")
    @routes.get("/.well-known/oauth-authorization-server")
    def discovery() -> Response:
        return _public(metadata(server.issuer))

    @routes.get("/jwks")
    def jwks() -> Response:
        return _public(server.key.public_set())

    @routes.post("/token")
    def token() -> Response:
        return _answer(server.create_token_response)

    @routes.post("/device_authorization")
    def device_authorization() -> Response:
        return _answer(lambda: server.create_endpoint_response(DeviceAuthorization.ENDPOINT_NAME))

    @routes.post("/introspect")
    def introspect() -> Response:
        return _answer(lambda: server.create_endpoint_response(Introspection.ENDPOINT_NAME))

    @routes.post("/revoke")
    def revoke() -> Response:
        return _answer(lambda: server.create_endpoint_response(Revocation.ENDPOINT_NAME))

    @routes.route("/userinfo", methods=["GET", "POST"])
    def userinfo() -> Response:
        return _userinfo(server)

    return routes


def _public(document: dict[str, Any]) -> Response:
    answer = jsonify(document)
    answer.headers["Cache-Control"] = f"public, max-age={KEYS_MAX_AGE_S}"
    return answer


def _answer(make: Any) -> Response:
    """What `make` answers; a request whose text may not even be repeated in an error is answered by `invalid_request`."""
    try:
        answer: Response = make()
    except ValueError:
        answer = jsonify({"error": "invalid_request", "error_description": "The request is malformed."})
        answer.status_code = 400
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _userinfo(server: Provider) -> Response:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    body = server.live_access_token(token.strip()) if scheme.lower() == "bearer" else None
    if body is None or not server.user(str(body["sub"])):
        return _refused(401, "invalid_token" if token else "", "The access token is missing, expired, revoked or not of this provider.")
    if "openid" not in body["scope"].split():
        return _refused(403, "insufficient_scope", "The access token lacks the scope openid.")
    answer = jsonify(claims.user_claims(body["sub"], body["scope"]))
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _refused(status: int, error: str, description: str) -> Response:
    answer = jsonify({"error": error or "invalid_request", "error_description": description})
    answer.status_code = status
    answer.headers["WWW-Authenticate"] = 'Bearer realm="qostui lake"' + (f', error="{error}"' if error else "")
    return answer
