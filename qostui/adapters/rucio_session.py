"""Rucio's own client, kept to one profile: its own HTTP session, its own token file, no prompts, no configuration file.

The hooks overridden here are private parts of rucio-clients 41.5.1 (`client/baseclient.py`); the version is pinned and
`tests/contract/test_rucio_session.py` holds that each of them still exists.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import RLock
from typing import Any

from ..domain.errors import CredentialProblem, Problem, ServerProblem
from ..domain.profile import Profile, Secret, host_text, origin
from . import bearers, keyring_, own_files, own_places, secret_files
from .http import USER_AGENT, OriginSession

REFUSED_FOR_S = 15.0
"""After a refused log-in nobody tries again for so long: several feeds must not lock an account together."""
EARLY = timedelta(seconds=30)
HOOKS = (
    "_get_auth_tokens",
    "_back_off",
    "_BaseClient__get_token",
    "_BaseClient__get_token_oidc",
    "_BaseClient__read_token",
    "_BaseClient__write_token",
)
PINNED = "41.5.1"
_RUCIO_CFG = "[client]\nrequest_retries = 0\n"


def verification(profile: Profile) -> str | bool:
    """What `verify` is for this profile: its CA file, its grid CA directory, else the public CAs."""
    for path in (profile.ca, profile.ca_path):
        if path is not None:
            if not path.exists():
                raise CredentialProblem(f"CA {path}: there is no such file", step="check ca and ca_path of the profile")
            return str(path)
    return True


class TokenBox:
    """The one Rucio token of a profile, in memory and in a private file; shared by all its clients.

    The file's name is a digest of origin, identity and log-in method, so a token never meets another server or identity.
    """

    def __init__(self, profile: Profile, runtime_dir: Path) -> None:
        self.lock = RLock()
        """Held while logging in, so that one client does it for all."""
        self.token = ""
        self.expires: datetime | None = None
        self.from_file = False
        self._profile = own_places.completed(profile, runtime_dir)
        self.runtime_dir = runtime_dir
        self._refused: tuple[float, Problem] | None = None
        self._made_for = ""
        self._looked: tuple[tuple[int, ...], str] = ((), "")

    @property
    def directory(self) -> Path:
        """The private directory of the profile; made when missing. Raises CredentialProblem."""
        return own_files.directory(self._profile, self.runtime_dir)

    @property
    def name(self) -> str:
        profile = self._profile
        identity = (profile.login_name, profile.certificate, profile.proxy, profile.token_file)
        parts = (origin(profile.rucio_host), origin(profile.login_host), profile.vo, profile.account, profile.auth, *map(str, identity))
        return f"token-{hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}"

    def whose(self) -> str:
        """Subject of the certificate that logs in now; "" for other ways and where it cannot be read.

        The file is read again only when it has changed, so that this may be asked before each call.
        """
        profile = self._profile
        path = {"x509": profile.certificate, "x509_proxy": profile.proxy}.get(profile.auth)
        if path is None:
            return ""
        try:
            found = os.stat(path)
        except OSError:
            return ""
        mark = (found.st_ino, found.st_size, found.st_mtime_ns)
        if self._looked[0] != mark:
            from . import x509

            try:
                self._looked = mark, x509.read(path, "the certificate", secret=False).subject
            except CredentialProblem:
                self._looked = mark, ""
        return self._looked[1]

    def changed_hands(self) -> bool:
        """Whether the session was made with somebody else's certificate than the one that lies there now."""
        now = self.whose()
        return bool(self.token and now and self._made_for and now != self._made_for)

    def read(self) -> bool:
        """Take the token from memory or from the file; False when there is none that is still good."""
        with self.lock:
            if self.changed_hands():
                self.forget()
            if self.token:
                return self.expires is None or self.expires - EARLY > datetime.now(UTC)
            path = self.directory / self.name
            if not os.path.lexists(path):
                return False
            kept = secret_files.read_secret(path, "the token file", own=True)
            with contextlib.suppress(ValueError, KeyError, TypeError):
                document = json.loads(kept)
                expires = datetime.fromisoformat(document["expires"]) if document["expires"] else None
                made_for, now = str(document.get("made_for") or ""), self.whose()
                if (expires is None or expires - EARLY > datetime.now(UTC)) and (not now or now == made_for):
                    self.token, self.expires, self.from_file, self._made_for = str(document["token"]), expires, True, made_for
                    return True
            return False

    def put(self, token: str, expires: datetime | None) -> None:
        """A fresh token: kept in memory, and in the file if that can be written."""
        with self.lock:
            self.token, self.expires, self.from_file, self._refused = token, expires, False, None
            self._made_for = self.whose()
            document = {"token": token, "expires": expires.isoformat() if expires else None, "made_for": self._made_for}
            with contextlib.suppress(OSError):
                secret_files.write_secret(self.directory, self.name, json.dumps(document).encode())

    def forget(self) -> None:
        """Drop the token everywhere."""
        with self.lock:
            self.token, self.expires, self._refused = "", None, None
            with contextlib.suppress(OSError, Problem):
                os.unlink(self.directory / self.name)

    def refused(self, problem: Problem) -> None:
        """Remember a refused log-in."""
        self._refused = (time.monotonic(), problem)

    def check_refused(self) -> None:
        """Raises the last refusal while it is fresh."""
        if self._refused is not None and time.monotonic() - self._refused[0] < REFUSED_FOR_S:
            raise self._refused[1]


def password(profile: Profile) -> str:
    """The pass word of a userpass profile; raises CredentialProblem."""
    if profile.password_file is not None:
        return secret_files.first_line(profile.password_file, "the pass word file")
    if profile.password_keyring:
        return keyring_.get(profile.password_keyring).reveal()
    if profile.token is not None:
        return profile.token.reveal()
    raise CredentialProblem("no pass word is configured", step="give the profile password_file or password_keyring")


def bearer(profile: Profile, runtime_dir: Path | None = None) -> Secret:
    """The access token of a profile, looked at anew each time (`bearers.current`); raises CredentialProblem as a rule."""
    return bearers.current(profile, runtime_dir)


def credentials(profile: Profile) -> dict[str, Any]:
    """What rucio-clients wants as `creds`, checked before, since it would ask or crash; raises CredentialProblem."""
    if profile.auth == "userpass":
        return {"username": profile.login_name, "password": password(profile)}
    if profile.auth == "x509":
        for path, what in ((profile.certificate, "the certificate"), (profile.key, "the key")):
            _must_exist(path, what)
        if profile.key is not None:
            own_files.plain_key(profile.key)
        return {"client_cert": str(profile.certificate), "client_key": str(profile.key)}
    if profile.auth == "x509_proxy":
        _must_exist(profile.proxy, "the proxy")
        if profile.proxy is not None:
            secret_files.read_secret(profile.proxy, "the proxy")
        return {"client_proxy": str(profile.proxy)}
    return {"oidc_issuer": "none", "oidc_audience": "none", "oidc_scope": "none", "oidc_refresh_lifetime": 0, "oidc_polling": True}


def _must_exist(path: Path | None, what: str) -> None:
    if path is None:
        raise CredentialProblem(f"{what} is not configured", step="add it to the profile")
    if not path.exists():
        raise CredentialProblem(f"{what} {path}: there is no such file", step="make a new one, or mend the path in the profile")


def _import_client(runtime: Path) -> type[Any]:
    """rucio's Client, imported once, after its ways into the environment and into foreign configuration files are closed."""
    secret_files.private_directory(runtime)
    configuration = runtime / "rucio.cfg"
    if not configuration.exists() or configuration.read_text() != _RUCIO_CFG:
        secret_files.write_secret(runtime, "rucio.cfg", _RUCIO_CFG.encode())
    os.environ["RUCIO_CLIENT_MODE"] = "1"
    os.environ["RUCIO_CONFIG"] = str(configuration)
    from rucio.client.client import Client

    return Client


_import_lock = RLock()
_client_class: list[type[Any]] = []


def client_class(runtime: Path) -> type[Any]:
    """The ProfileClient class; importing rucio takes about 0.3 s, so this runs in a lane."""
    with _import_lock:
        if not _client_class:
            _client_class.append(_profile_client(_import_client(runtime)))
        return _client_class[0]


def _profile_client(client: type[Any]) -> type[Any]:
    silent = logging.Logger("qostui.rucio")
    silent.disabled = True  # its debug lines hold tokens and pass words

    class ProfileClient(client):
        """rucio-clients' Client for one profile."""

        def __init__(self, profile: Profile, http: OriginSession, box: TokenBox) -> None:
            self._http, self._box, self._profile = http, box, profile
            super().__init__(
                rucio_host=profile.rucio_host.rstrip("/"),
                auth_host=profile.login_host.rstrip("/"),
                account=profile.account,
                ca_cert=verification(profile),
                auth_type=profile.auth,
                creds=credentials(profile),
                timeout=None,
                user_agent=USER_AGENT,
                vo=profile.vo,
                logger=silent,
            )

        # rucio-clients makes a new requests.Session after each 401, and reads argv and the configuration: none of that here.
        session = property(lambda self: self._http, lambda self, value: None)
        script_id = property(lambda self: USER_AGENT, lambda self, value: None)
        auth_oidc_refresh_active = property(lambda self: False, lambda self, value: None)

        def _get_auth_tokens(self) -> tuple[None, str, str, str]:
            directory = str(self._box.directory)
            return None, os.path.join(directory, "unused"), os.path.join(directory, self._box.name), directory

        def _back_off(self, retry_number: int, reason: str) -> None:
            # The session raises before it comes to this; should it not, waiting and asking again is still the feed's affair.
            raise ServerProblem(f"Rucio at {host_text(self._profile.rucio_host)}: {reason}", step="the console goes on trying")

        def _BaseClient__read_token(self) -> bool:
            if self._profile.auth == "oidc":
                bearers.ahead(self._profile, self._box.runtime_dir)
                return self._take(bearer(self._profile, self._box.runtime_dir).reveal())
            return self._take(self._box.token) if self._box.read() else False

        def _take(self, token: str) -> bool:
            self.auth_token = token
            self.headers["X-Rucio-Auth-Token"] = token
            return True

        def look_again(self) -> None:
            """Take the token that the profile has now, renewed if it is about to end; log in anew for another certificate.

            Raises CredentialProblem when it is gone.
            """
            if self._profile.auth == "oidc":
                self._BaseClient__read_token()
            elif self._box.changed_hands() or self._box.token != self.auth_token:
                # Another client of this profile may have logged in anew meanwhile.
                self._BaseClient__get_token()

        def _BaseClient__write_token(self) -> None:
            if self._profile.auth != "oidc":
                self._box.put(self.auth_token, self._http.token_expires)

        def _BaseClient__get_token_oidc(self) -> bool:
            raise CredentialProblem(
                f"Rucio at {host_text(self._profile.login_host)} refuses the token",
                step="it may be expired, or of a wrong audience: see the credentials pane",
            )

        def _BaseClient__get_token(self) -> None:
            with self._box.lock:
                if self._box.read() and self._box.token != self.auth_token:
                    self._take(self._box.token)
                    return
                self._box.check_refused()
                self._box.forget()
                if self._profile.auth == "oidc":
                    # A file may have been replaced, and the vault's token can be refreshed.
                    found = bearers.after_refusal(self._profile, self.auth_token or "", self._box.runtime_dir).reveal()
                    if found != self.auth_token:
                        self._take(found)
                        return
                if self._profile.auth != "oidc":
                    self.creds = credentials(self._profile)
                try:
                    _log_in(super()._BaseClient__get_token, self._profile)
                except CredentialProblem as problem:
                    self._box.refused(problem)
                    raise

    return ProfileClient


def _log_in(get_token: Callable[[], None], profile: Profile) -> None:
    from .errors import translated

    with translated(profile.login_host):
        get_token()
