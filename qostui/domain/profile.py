"""Profiles and identities: one Rucio instance, one identity and its credentials."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from .errors import Problem
from .text import SafeText

AUTH_METHODS = ("userpass", "x509", "x509_proxy", "oidc")
DEFAULT_PORTS = {"http": 80, "https": 443}


class Secret:
    """A secret value that neither repr, str, a traceback nor pickle gives away; `reveal` is the only way in."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a secret is not written anywhere")


@dataclass(frozen=True)
class Profile:
    """What an operator switches between. The fields are the keys of `[profiles.NAME]` in the configuration."""

    name: str
    rucio_host: str
    """https://host[:port] of the Rucio server."""
    account: str
    auth: str
    """userpass, x509, x509_proxy or oidc."""
    auth_host: str = ""
    """Where to log in; "" is rucio_host."""
    username: str = ""
    """For userpass; "" is the account's name."""
    password_file: Path | None = None
    """First line is the pass word; mode 0600."""
    password_keyring: str = ""
    """Name of the keyring entry that holds the pass word (service `qostui`)."""
    certificate: Path | None = None
    key: Path | None = None
    proxy: Path | None = None
    token_file: Path | None = None
    """A file with an access token (0600), as WLCG tools leave it."""
    oidc_agent: str = ""
    """Short name of an account of a running oidc-agent, which hands out access tokens."""
    issuer: str = ""
    """OpenID provider to log in at by the device flow (RFC 8628), spelled as it names itself, final slash included."""
    client_id: str = ""
    """OAuth client that the console is at `issuer`."""
    client_secret_keyring: str = ""
    """Name of the keyring entry with the client's secret; "" for a public client."""
    scope: str = ""
    """Scopes asked for at `issuer`, blanks between; "" is openid offline_access and what Rucio needs."""
    audience: str = ""
    """Audience asked for; "" leaves it to the provider."""
    ca: Path | None = None
    """PEM file of the CAs that the servers' certificates are checked with; None: ca_path, else the public CAs."""
    ca_path: Path | None = None
    """Grid CA directory (hashed names), as X509_CERT_DIR."""
    voms: str = ""
    """VO, and FQAN if wanted, that voms-proxy-init is asked for: `escape` or `escape:/escape/Role=operator`."""
    vomses: Path | None = None
    """File or directory that says where VOMS servers are, as X509_VOMSES."""
    voms_dir: Path | None = None
    """Directory of .lsc files of trusted VOMS servers, as X509_VOMS_DIR."""
    vo: str = "def"
    """Rucio's VO name; `def` on an instance of one VO."""
    fts: str = ""
    """Address of the FTS to ask when a request does not name one."""
    color: str = ""
    """Colour of the header, so that production is not mistaken for a test: a name or #rrggbb."""
    read_only: bool = False
    token: Secret | None = field(default=None, repr=False, compare=False)
    """A token handed over in the environment (profile `env` only); never written."""
    sources: tuple[tuple[str, str], ...] = ()
    """(key, where its value came from) for what the environment gave: `proxy` -> `$X509_USER_PROXY`."""

    INTERNAL: ClassVar[frozenset[str]] = frozenset({"name", "token", "sources"})

    @classmethod
    def keys(cls) -> tuple[str, ...]:
        """The keys that a configuration may give a profile."""
        return tuple(entry.name for entry in fields(cls) if entry.name not in cls.INTERNAL)

    @property
    def login_host(self) -> str:
        """Where log-in happens."""
        return self.auth_host or self.rucio_host

    @property
    def login_name(self) -> str:
        """The user name of a pass word log-in."""
        return self.username or self.account

    def source_of(self, key: str) -> str:
        """Where the value of `key` came from, for the credentials pane."""
        return dict(self.sources).get(key, "profile")


def origin(address: str) -> tuple[str, str, int]:
    """(scheme, host, port) of an address: what a token is bound to. Raises ValueError."""
    parts = urlsplit(address)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f"{address!r} is not an http(s) address")
    return parts.scheme, parts.hostname.lower(), parts.port or DEFAULT_PORTS[parts.scheme]


def host_text(address: str) -> str:
    """`host:port` for people; the address itself where it cannot be read."""
    try:
        _, host, port = origin(address)
    except ValueError:
        return address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@dataclass(frozen=True)
class Identity:
    """What the header says: where we are, who we are there, how that is shown, and what runs out next."""

    profile: str
    host: str
    account: str
    method: str
    subject: SafeText
    """Certificate subject, user name or token subject; "" before it is known."""
    read_only: bool = False
    color: str = ""
    next_expiry: tuple[SafeText, datetime] | None = None
    problem: Problem | None = None
    """Why the log-in does not work, else None."""
