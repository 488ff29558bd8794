"""Looking into access tokens: JSON Web Tokens are decoded for show, never verified."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import jwt


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """The claims that matter to an operator; texts are raw."""

    subject: str = ""
    issuer: str = ""
    audience: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    expires: datetime | None = None
    not_before: datetime | None = None
    issued: datetime | None = None
    client: str = ""
    profile: str = ""
    """WLCG profile version (`wlcg.ver`)."""
    algorithm: str = ""


def decode(token: str) -> TokenClaims | None:
    """The claims of a JWT without any verification; None when it is not one (an opaque token)."""
    try:
        found = jwt.decode_complete(token.strip(), options={"verify_signature": False})
    except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError, RecursionError):
        return None
    header, claims = found["header"], found["payload"]
    return TokenClaims(
        subject=str(claims.get("sub") or ""),
        issuer=str(claims.get("iss") or ""),
        audience=_words(claims.get("aud")),
        scopes=_words(claims.get("scope")),
        groups=_words(claims.get("wlcg.groups") or claims.get("groups")),
        expires=_time(claims.get("exp")),
        not_before=_time(claims.get("nbf")),
        issued=_time(claims.get("iat")),
        client=str(claims.get("client_id") or claims.get("azp") or ""),
        profile=str(claims.get("wlcg.ver") or ""),
        algorithm=str(header.get("alg") or ""),
    )


def _words(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(value.split())
    return tuple(str(each) for each in value) if isinstance(value, list) else ()


def _time(value: object) -> datetime | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
