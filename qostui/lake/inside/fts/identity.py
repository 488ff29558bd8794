"""Who is speaking: the verified client certificate of the TLS connection, else a bearer token of the lake's provider.

Standard library; joserfc only once a token turns up.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .. import topology
from ..state import Facts, State, issuer, url

CERTIFICATE, TOKEN, NOBODY = "certificate", "oauth2", "unauthenticated"
_SCOPE = "fts"


class NotAccepted(Exception):
    """A credential was offered that does not hold; HTTP status and text."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True)
class Identity:
    """Someone as FTS sees them. Everybody the lake knows belongs to its one VO."""

    dn: str
    method: str

    @property
    def known(self) -> bool:
        """Whether this is somebody at all."""
        return self.method != NOBODY

    @property
    def privileged(self) -> bool:
        """The robot steers everything; others only what is theirs."""
        return self.method == CERTIFICATE and self.dn == topology.distinguished_name("robot")

    @property
    def vo(self) -> str:
        """The VO a job of this identity belongs to."""
        return topology.VO

    @property
    def delegation_id(self) -> str:
        """FTS's name for a user's delegated proxy: 16 hex digits over the DN."""
        return hashlib.sha1(self.dn.encode(), usedforsecurity=False).hexdigest()[:16]

    @property
    def may_see(self) -> bool:
        """Whether jobs may be read: by the whole VO, as an FTS with `transfer` at level `vo` has it."""
        return self.known

    def may_steer(self, job: Mapping[str, Any]) -> bool:
        """Whether a job may be cancelled and its priority changed: by its owner and the robot."""
        return self.privileged or (self.known and job["user_dn"] == self.dn)


ANONYMOUS = Identity("anon", NOBODY)


class Bearers:
    """Checks bearer tokens: signature, issuer, audience, time and scope."""

    def __init__(self, state: State, facts: Facts) -> None:
        self._jwks = state.jwks
        self._issuer = issuer(facts)
        self._audiences = {topology.HOST, url(facts, "fts"), topology.WLCG_ANY_AUDIENCE}

    @property
    def available(self) -> bool:
        """Whether there is a provider whose tokens could be checked."""
        return self._jwks.is_file()

    def identity(self, token: str) -> Identity:
        """The subject of a valid token; raises NotAccepted."""
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        try:
            keys = KeySet.import_key_set(json.loads(self._jwks.read_text()))
            claims = jwt.decode(token, keys, algorithms=["RS256", "ES256"]).claims
        except (JoseError, ValueError, OSError) as error:
            raise NotAccepted(401, "The token is not one of the lake's provider") from error
        audience = claims.get("aud")
        audiences = {audience} if isinstance(audience, str) else set(audience or ())
        now = time.time()
        if claims.get("iss") != self._issuer:
            raise NotAccepted(401, "The token comes from another issuer")
        if not audiences & self._audiences:
            raise NotAccepted(401, "The token is for another audience")
        if float(claims.get("exp") or 0) <= now or float(claims.get("nbf") or 0) > now + 60:
            raise NotAccepted(401, "The token has expired or is not valid yet")
        if not any(each == _SCOPE or each.startswith(f"{_SCOPE}:") for each in str(claims.get("scope", "")).split()):
            raise NotAccepted(403, "The token lacks the scope fts")
        subject = str(claims.get("sub") or "")
        if not subject or subject.startswith("/"):
            raise NotAccepted(401, "The token has no subject, or one that looks like a certificate's")
        return Identity(subject, TOKEN)
