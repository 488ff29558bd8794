"""Tokens that the console got itself: the access token in the private directory, the refresh token in the keyring.

Their names are digests of issuer, client, account and Rucio's origin, so that a token never meets another of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from .. import paths
from ..domain.errors import CredentialProblem, Problem
from ..domain.profile import Profile, Secret, origin
from . import file_lock, keyring_, own_files, secret_files

if TYPE_CHECKING:
    from ..services.feeds import Cancel
    from .oidc import Granted

MOST_AHEAD = timedelta(minutes=5)
SHARE_AHEAD = 4
"""Refreshed when this part of its life is left, but not earlier than MOST_AHEAD before its end."""
REST_S = 60.0
"""After a refresh by itself failed, nobody tries by itself again for so long."""
REFUSED_S = 600.0
"""A refused token is replaced by itself once in so long: a server that refuses each new one is not to be fed with them."""
_resting: dict[str, tuple[float, Problem]] = {}
_replaced: dict[str, float] = {}


@dataclass(frozen=True)
class Kept:
    """An access token."""

    token: Secret
    expires: datetime | None
    made: datetime
    scope: str = ""

    def ended(self, now: datetime) -> bool:
        """Whether it is of no use any more."""
        return self.expires is not None and self.expires <= now

    def due(self, now: datetime) -> bool:
        """Whether it is time for a new one."""
        if self.expires is None:
            return False
        return self.expires - min(MOST_AHEAD, max(self.expires - self.made, timedelta()) / SHARE_AHEAD) <= now


class Vault:
    """The tokens of one profile."""

    def __init__(self, profile: Profile, runtime_dir: Path, state_dir: Path | None = None) -> None:
        self._profile = profile
        self._runtime_dir = runtime_dir
        self._state_dir = state_dir or paths.state_dir()
        self.note = ""
        """What went wrong beside the last success, in one line; "" when nothing did."""

    @property
    def keyring_file(self) -> Path:
        """Where the encrypted keyring file lies, for consoles without a Secret Service."""
        return self._state_dir / "keyring" / "secrets.cfg"

    @property
    def refresh_name(self) -> str:
        """The keyring entry of the refresh token."""
        return f"refresh-{self._digest()}"

    @property
    def access_file(self) -> Path:
        """The file of the access token; another scope or audience is another file."""
        return self._runtime_dir / self._profile.name / f"access-{self._digest(self._profile.scope, self._profile.audience)}"

    def _digest(self, *more: str) -> str:
        profile = self._profile
        try:
            rucio = repr(origin(profile.rucio_host))
        except ValueError:
            rucio = profile.rucio_host
        parts = (profile.issuer, profile.client_id, profile.account, rucio, *more)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]

    def read(self) -> Kept | None:
        """The access token, ended or not; None when there is none. Raises CredentialProblem for a file that is not ours alone."""
        if not os.path.lexists(self.access_file):
            return None
        own_files.directory(self._profile, self._runtime_dir)
        kept = secret_files.read_secret(self.access_file, "the access token", own=True)
        with contextlib.suppress(ValueError, KeyError, TypeError):
            document = json.loads(kept)
            expires = datetime.fromisoformat(document["expires"]) if document["expires"] else None
            made = datetime.fromisoformat(document["made"])
            return Kept(Secret(str(document["token"])), expires, made, str(document["scope"]))
        return None

    def current(self) -> Secret:
        """The access token as it lies there; asks nobody. Raises CredentialProblem when there is none or it has ended."""
        kept = self.read()
        if kept is None:
            raise CredentialProblem("not logged in at the OpenID provider", step="log in (credentials pane)")
        if kept.expires is not None and kept.ended(datetime.now(UTC)):
            resting = _resting.get(self.refresh_name)
            raise CredentialProblem(
                f"the access token ended at {kept.expires:%Y-%m-%d %H:%M} UTC" + (f"; {resting[1].summary}" if resting else ""),
                step=resting[1].step if resting else "refresh it, or log in again (credentials pane)",
            )
        return kept.token

    def put(self, token: Secret, expires: datetime | None, scope: str) -> None:
        """Keep an access token; raises CredentialProblem."""
        document = {
            "token": token.reveal(),
            "expires": expires.isoformat() if expires else None,
            "made": datetime.now(UTC).isoformat(),
            "scope": scope,
        }
        directory = own_files.directory(self._profile, self._runtime_dir)
        try:
            secret_files.write_secret(directory, self.access_file.name, json.dumps(document).encode())
        except OSError as error:
            raise CredentialProblem(f"the access token cannot be kept in {directory}: {error.strerror}", step="free some space") from error

    def take(self, granted: Granted, cancel: Cancel | None = None) -> None:
        """Keep what a log-in gave. Where the refresh token cannot be kept, it is known for this run, and `note` says so. Raises Problem."""
        with self._alone(cancel):
            self._take(granted)

    def _take(self, granted: Granted) -> None:
        """The refresh token first: the one before may be worth nothing any more."""
        self.note = ""
        if granted.refresh is not None:
            try:
                keyring_.put(self.refresh_name, granted.refresh)
            except Problem as problem:
                self.note = f"the refresh token is known for this run only: {problem.summary}"
        _resting.pop(self.refresh_name, None)
        self.put(granted.token, granted.expires, granted.scope)

    def refresh(self, seen: str = "", cancel: Cancel | None = None) -> Kept:
        """A new access token in place of `seen`; one process does it for all, the others read. Raises Problem."""
        from .oidc import Provider

        with self._alone(cancel):
            kept = self.read()
            if kept is not None and kept.token.reveal() != seen and not kept.due(datetime.now(UTC)):
                return kept
            granted = Provider(self._profile).refresh(self._refresh_token(), cancel=cancel)
            self._take(granted)
            return Kept(granted.token, granted.expires, datetime.now(UTC), granted.scope)

    def narrow(self, scope: str, audience: str, cancel: Cancel | None = None) -> Granted:
        """A token of this scope and audience, which is not kept here; the refresh token that comes with it is. Raises Problem."""
        from .oidc import Provider

        with self._alone(cancel):
            granted = Provider(self._profile).refresh(self._refresh_token(), scope, audience, cancel)
            if granted.refresh is not None:
                with contextlib.suppress(Problem):
                    keyring_.put(self.refresh_name, granted.refresh)
            return granted

    def _refresh_token(self) -> Secret:
        try:
            token = keyring_.find(self.refresh_name)
        except CredentialProblem as problem:
            if keyring_.is_open():
                raise
            raise CredentialProblem(
                "the refresh token is not at hand: no keyring is open",
                detail=problem.summary,
                step="open the keyring file, or log in again",
            ) from None
        if token is None:
            raise CredentialProblem("no refresh token is kept for this profile", step="log in (credentials pane)")
        # Before it is spent: its successor has to be kept.
        keyring_.check_room()
        return token

    def ahead(self, wanted: Callable[[], bool] = lambda: True) -> None:
        """Refresh when it is time and nobody has to be asked for anything; what fails is said once the token has ended."""
        kept = self.read()
        if kept is not None and kept.due(datetime.now(UTC)) and wanted():
            self._by_itself(kept.token.reveal())

    def after_refusal(self, refused: str) -> None:
        """A server refuses the token: replace it, unless that was done for the one before a moment ago. Raises CredentialProblem."""
        last = _replaced.get(self.refresh_name)
        if last is None or time.monotonic() - last >= REFUSED_S:
            _replaced[self.refresh_name] = time.monotonic()
            self._by_itself(refused)

    def _by_itself(self, seen: str) -> None:
        resting = _resting.get(self.refresh_name)
        if resting is not None and time.monotonic() - resting[0] < REST_S:
            return
        try:
            self.refresh(seen)
        except Problem as problem:
            _resting[self.refresh_name] = (time.monotonic(), problem)

    def drop(self) -> str:
        """Delete both tokens and tell the provider; says what became of it. Raises CredentialProblem when they cannot be deleted."""
        from .oidc import Provider

        told = ""
        with self._alone(None):
            try:
                token = keyring_.find(self.refresh_name)
            except CredentialProblem:
                token = None
            if token is None and not os.path.lexists(self.access_file):
                raise CredentialProblem("there is no token to delete", step="look again: it may be gone already")
            if token is not None:
                try:
                    revoked = Provider(self._profile).revoke(token)
                    told = "revoked at the provider" if revoked else "the provider takes no revocations: it stays valid there until it ends"
                except Problem as problem:
                    told = f"the provider could not be told ({problem.summary}): it stays valid there until it ends"
                keyring_.delete(self.refresh_name)
            elif not keyring_.is_open() and self.keyring_file.exists():
                told = "a refresh token may still lie in the keyring file, which is closed: open it, then delete again"
            self.access_file.unlink(missing_ok=True)
        return f"deleted; the refresh token is {told}" if told.startswith("revoked") else f"deleted{'; ' + told if told else ''}"

    def _alone(self, cancel: Cancel | None) -> contextlib.AbstractContextManager[None]:
        place = secret_files.private_directory(self.keyring_file.parent)
        wanted = (lambda: cancel.wanted) if cancel is not None else (lambda: True)
        return file_lock.held(place / f"{self.refresh_name}.lock", "this token", wanted)
