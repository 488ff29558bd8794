"""The provider's signing key: RSA 2048, RS256, kept as a JWK; and the signing and checking of JWTs with it.

RS256 is the one algorithm that pyoidc (Rucio's client), libSciTokens 0.7.3 (XRootD 5.5.3) and oidc-agent all take.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from .. import atomic, register
from ..state import State

ALGORITHM = "RS256"
KEY_BITS = 2048
ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105  # a type's name, no secret
"""Header `typ` of access tokens (RFC 9068 section 2.1): an ID token cannot pass for one."""

_PRIVATE_MEMBERS = ("d", "p", "q")
"""Of an RSA JWK (RFC 7518 section 6.3.2): each alone gives the key away."""


def key_file(state: State) -> Path:
    """The private signing key as a JWK, mode 0600."""
    return state.oidc / "key.json"


class SigningKey:
    """The private key, its id (RFC 7638 thumbprint) and what may be published of it."""

    def __init__(self, key: RSAKey) -> None:
        self._key = key
        self.id = str(key.kid or key.thumbprint())

    @classmethod
    def load(cls, path: Path) -> SigningKey:
        """The key in `path`; raises FileNotFoundError, or ValueError when the file is no RSA JWK."""
        return cls(RSAKey.import_key(json.loads(path.read_text())))

    @classmethod
    def load_or_create(cls, state: State) -> SigningKey:
        """The key in `key_file`, made there with mode 0600 when there is none."""
        path = key_file(state)
        if not path.exists():
            key = RSAKey.generate_key(KEY_BITS, {"use": "sig", "alg": ALGORITHM})
            whole = key.as_dict(private=True)
            register.note(state, *(str(whole[member]) for member in _PRIVATE_MEMBERS))
            atomic.write(path, json.dumps({**whole, "kid": key.thumbprint()}), 0o600)
        path.chmod(0o600)
        return cls.load(path)

    def public_set(self) -> dict[str, Any]:
        """The JWK set (RFC 7517) that checks this key's signatures."""
        return {"keys": [{**self._key.as_dict(private=False), "kid": self.id, "use": "sig", "alg": ALGORITHM}]}

    def sign(self, claims: dict[str, Any], kind: str) -> str:
        """`claims` as a compact JWS with header `typ` set to `kind`."""
        header = {"alg": ALGORITHM, "kid": self.id, "typ": kind}
        return jws.serialize_compact(header, json.dumps(claims, separators=(",", ":")), self._key, [ALGORITHM])

    def verified(self, token: str, kind: str) -> dict[str, Any] | None:
        """The claims of a JWS of this key and kind; None for anything else. Times are the caller's to check."""
        try:
            checked = jws.deserialize_compact(token, self._key, [ALGORITHM])
            if checked.headers().get("typ") != kind:
                return None
            claims = json.loads(checked.payload or b"")
        except (JoseError, ValueError):
            return None
        return claims if isinstance(claims, dict) else None
