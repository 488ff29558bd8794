"""An OpenID provider with rotating refresh tokens that misbehaves on demand."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .fake_web import FakeWeb, Heard, Said, running


def jwt(**claims: Any) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'RS256'})}.{part(claims)}.c2ln"


class FakeProvider:
    """What it gives next can be changed: `errors` are answered first, `gives` overrides parts of a good answer."""

    def __init__(self, web: FakeWeb) -> None:
        self.web = web
        self.errors: list[str | Said] = []
        self.gives: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.device: dict[str, Any] = {}
        self.refresh = {"first"}
        """Refresh tokens that still work; one shown again ends all."""
        self.used: set[str] = set()
        self.count = 0
        web.answers |= {
            "/.well-known/openid-configuration": self._discovery,
            "/device": self._device,
            "/token": self._token,
            "/revoke": lambda heard: Said(b""),
        }

    @property
    def issuer(self) -> str:
        return f"{self.web.address}/"

    @property
    def exchanges(self) -> int:
        return len([each for each in self.web.of("/token") if each.form["grant_type"] == "refresh_token"])

    def _discovery(self, heard: Heard) -> Said:
        places = {
            "issuer": self.issuer,
            "token_endpoint": f"{self.web.address}/token",
            "device_authorization_endpoint": f"{self.web.address}/device",
            "revocation_endpoint": f"{self.web.address}/revoke",
        }
        return Said(places | self.metadata)

    def _device(self, heard: Heard) -> Said:
        good = {"device_code": "dev", "user_code": "ABCD-EFGH", "verification_uri": f"{self.web.address}/enter", "expires_in": 600}
        return Said(good | {"verification_uri_complete": f"{self.web.address}/enter?user_code=ABCD-EFGH", "interval": 5} | self.device)

    def _token(self, heard: Heard) -> Said:
        if self.errors:
            error = self.errors.pop(0)
            return error if isinstance(error, Said) else Said({"error": error, "error_description": "because"}, 400)
        form = heard.form
        if form["grant_type"] == "refresh_token":
            token = form["refresh_token"]
            if token not in self.refresh:
                self.refresh.clear()
                return Said({"error": "invalid_grant"}, 400)
            self.refresh.discard(token)
            self.used.add(token)
        return Said(self._granted(form))

    def _granted(self, form: dict[str, str]) -> dict[str, Any]:
        self.count += 1
        fresh = f"refresh-{self.count}"
        self.refresh.add(fresh)
        scope = form.get("scope", "openid profile")
        claims = {"sub": "alice", "aud": form.get("audience", "any"), "scope": scope, "exp": int(time.time()) + 3600, "jti": self.count}
        answer = {"access_token": jwt(**claims), "token_type": "Bearer", "expires_in": 3600, "refresh_token": fresh, "scope": scope}
        return {name: value for name, value in (answer | self.gives).items() if value is not None}


@contextmanager
def provider() -> Iterator[FakeProvider]:
    """One that runs."""
    with running(FakeWeb()) as web:
        yield FakeProvider(web)
