"""What a token says: the claims of access tokens and ID tokens, and the answer of the userinfo endpoint."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from typing import Any

from .. import topology
from . import people, scopes

ACCESS_LIFETIME_S = 3600
ID_LIFETIME_S = 600
MAX_AUDIENCES = 16
_AUDIENCE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,256}")
WLCG_VERSION = "1.0"
_ASSURANCE = "https://refeds.org/assurance"
"""REFEDS Assurance Framework: says only that the framework is spoken."""


class BadAudience(ValueError):
    """An audience that is not printable ASCII, too long, or one of too many."""


def audiences(texts: list[str]) -> tuple[str, ...]:
    """The audiences named by `audience` and `resource` parameters, each a space separated list; raises BadAudience."""
    named = tuple(dict.fromkeys(word for text in texts for word in text.split()))
    if len(named) > MAX_AUDIENCES or not all(_AUDIENCE.fullmatch(word) for word in named):
        raise BadAudience("audience is malformed")
    return named


def access_claims(
    issuer: str, subject: str, client_id: str, scope: str, audience: tuple[str, ...], now: int, lifetime_s: int
) -> dict[str, Any]:
    """Claims of an access token, times in epoch seconds. A lifetime below zero makes one that ran out that long ago."""
    expires = now + lifetime_s
    issued = min(now, expires - ACCESS_LIFETIME_S) if lifetime_s <= 0 else now
    named = audience or (topology.WLCG_ANY_AUDIENCE,)
    claims: dict[str, Any] = {
        "wlcg.ver": WLCG_VERSION,
        "iss": issuer,
        "sub": subject,
        "aud": named[0] if len(named) == 1 else list(named),
        "iat": issued,
        "nbf": issued,
        "exp": expires,
        "jti": secrets.token_hex(16),
        "client_id": client_id,
        "scope": scope,
    }
    groups = asked_groups(subject, scope)
    if groups is not None:
        claims["wlcg.groups"] = groups
    return claims


def asked_groups(subject: str, scope: str) -> list[str] | None:
    """Groups for `wlcg.groups` scopes: those asked for by name first, then all others; None when none was asked for.

    The order is the WLCG profile's: a group asked for by name comes before the default ones.
    """
    asked = [each for each in scope.split() if scopes.kind(each) == "wlcg.groups"]
    if not asked:
        return None
    own = people.groups_of(subject)
    named = [each.partition(":")[2] for each in asked if ":" in each]
    return list(dict.fromkeys([group for group in named if group in own] + list(own)))


def id_claims(
    issuer: str, subject: str, client_id: str, scope: str, access_token: str, now: int, nonce: str | None, login_time: int | None
) -> dict[str, Any]:
    """Claims of an ID token (OpenID Connect Core 1.0 section 2)."""
    half = hashlib.sha256(access_token.encode("ascii")).digest()[:16]
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": client_id,
        "azp": client_id,
        "iat": now,
        "exp": now + ID_LIFETIME_S,
        "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
        **user_claims(subject, scope),
    }
    if login_time is not None:
        claims["auth_time"] = login_time
    if nonce:
        claims["nonce"] = nonce
    return claims


def user_claims(subject: str, scope: str) -> dict[str, Any]:
    """What the scopes let a client know about a person (OpenID Connect Core 1.0 section 5.4)."""
    granted = set(scope.split())
    claims: dict[str, Any] = {"sub": subject}
    if "profile" in granted:
        claims |= {"name": subject.capitalize(), "preferred_username": subject}
    if "email" in granted:
        claims |= {"email": f"{subject}@{topology.VO}.test", "email_verified": True}
    if "eduperson_entitlement" in granted:
        claims["eduperson_entitlement"] = [_entitlement(group) for group in people.groups_of(subject)]
    if "eduperson_assurance" in granted:
        claims["eduperson_assurance"] = [_ASSURANCE]
    if "eduperson_scoped_affiliation" in granted:
        claims["eduperson_scoped_affiliation"] = [f"member@{topology.VO}.test"]
    groups = asked_groups(subject, scope)
    if groups is not None:
        claims["wlcg.groups"] = groups
    return claims


def _entitlement(group: str) -> str:
    """A group as an entitlement, in the form of AARC-G069."""
    return f"urn:geant:{topology.VO}.test:group:{group.strip('/').replace('/', ':')}#lake"
