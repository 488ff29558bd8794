"""Who may ask this provider for tokens: the table of clients, their secrets, and what Authlib asks of a client."""

from __future__ import annotations

import hmac
import json
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749 import ClientMixin

from .. import atomic, register
from .. import state as lake
from ..state import Facts, State
from . import scopes

CODE = "authorization_code"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
REFRESH = "refresh_token"
OWN = "client_credentials"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"

_USER_KINDS = frozenset((*scopes.IDENTITY_KINDS, *scopes.DATA_KINDS, "fts"))


@dataclass(frozen=True)
class Entry:
    """One line of the client table."""

    id: str
    title: str
    """What the consent page calls it."""
    grants: frozenset[str]
    kinds: frozenset[str]
    """Kinds of scope it may ask for."""
    public: bool = False
    redirects: tuple[str, ...] = ()
    """Exact redirect URIs; `{rucio}` is the Rucio server's address."""
    native: bool = False
    """Redirects to a loopback address may name any port (RFC 8252 section 7.3)."""


TABLE: tuple[Entry, ...] = (
    Entry(
        "qostui",
        "qostui console",
        frozenset({DEVICE, CODE, REFRESH}),
        _USER_KINDS,
        public=True,
        redirects=("http://127.0.0.1/callback", "http://[::1]/callback"),
        native=True,
    ),
    Entry(
        "oidc-agent",
        "oidc-agent",
        frozenset({DEVICE, CODE, REFRESH}),
        _USER_KINDS,
        redirects=("http://localhost:4242", "http://localhost:8080", "http://localhost:43985", "edu.kit.data.oidc-agent:/redirect"),
    ),
    Entry(
        "rucio",
        "Rucio",
        frozenset({CODE, REFRESH, OWN, EXCHANGE}),
        _USER_KINDS,
        redirects=("{rucio}/auth/oidc_code", "{rucio}/auth/oidc_token"),
    ),
    Entry("rucio-admin", "Rucio administration", frozenset({OWN}), frozenset(scopes.SCIM_KINDS)),
    Entry("fts", "File transfer service", frozenset({OWN, REFRESH, EXCHANGE}), _USER_KINDS),
)


class Client(ClientMixin):
    """A client of the table with its secret (empty for a public one) and the redirect URIs of this lake."""

    def __init__(self, entry: Entry, secret: str, redirects: tuple[str, ...]) -> None:
        self.entry = entry
        self.client_id = entry.id
        self._secret = secret
        self.redirects = redirects

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str | None:
        """None: a request names its redirect URI."""
        return None

    def get_allowed_scope(self, scope: str | None) -> str:
        """Those scopes of the list that this client may ask for."""
        return scopes.join(each for each in scopes.split(scope) if scopes.kind(each) in self.entry.kinds)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Exact match, except for the port of a native client's loopback address."""
        if redirect_uri in self.redirects:
            return True
        return self.entry.native and _without_port(redirect_uri) in self.redirects

    def check_client_secret(self, client_secret: str) -> bool:
        return bool(self._secret) and hmac.compare_digest(self._secret.encode(), client_secret.encode("utf-8", "replace"))

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        """A public client says who it is; any other proves it with its secret."""
        return method == "none" if self.entry.public else method in ("client_secret_basic", "client_secret_post")

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code" and CODE in self.entry.grants

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.entry.grants


def _without_port(uri: str) -> str:
    if not re.fullmatch(r"http://(127\.0\.0\.1|\[::1\]):[0-9]{1,5}/[A-Za-z0-9._~/-]*", uri):
        return ""
    parts = urlsplit(uri)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"http://{host}{parts.path}"


def secrets_file(state: State) -> Path:
    """Client id -> secret, as JSON, mode 0600."""
    return state.oidc / "clients.json"


def prepare(state: State) -> None:
    """Give each confidential client a secret that has none."""
    path = secrets_file(state)
    known = read_secrets(state) if path.exists() else {}
    wanted = {entry.id: known.get(entry.id) or secrets.token_urlsafe(32) for entry in TABLE if not entry.public}
    if wanted != known:
        register.note(state, *(wanted[name] for name in wanted if name not in known))
        atomic.write(path, json.dumps(wanted, indent=1), 0o600)
    path.chmod(0o600)


def read_secrets(state: State) -> dict[str, str]:
    """The secrets; raises FileNotFoundError before `prepare`."""
    loaded: dict[str, str] = json.loads(secrets_file(state).read_text())
    return loaded


def redirects(entry: Entry, facts: Facts) -> tuple[str, ...]:
    """The redirect URIs of a client in a lake with these ports."""
    rucio = lake.url(facts, "rucio")
    return tuple(uri.replace("{rucio}", rucio) for uri in entry.redirects)


def load(state: State, facts: Facts) -> dict[str, Client]:
    """All clients, by id."""
    known = read_secrets(state)
    return {entry.id: Client(entry, known.get(entry.id, ""), redirects(entry, facts)) for entry in TABLE}
