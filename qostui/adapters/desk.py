"""The desk of one profile's credentials: what `services.ports_credentials.Desk` promises, over one module for each craft."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ..domain.errors import CredentialProblem, UsageProblem
from ..domain.profile import Profile, Secret
from ..domain.text import clean
from ..services.feeds import Cancel
from ..services.ports_credentials import DeviceCode
from . import bearers, handing_over, keyring_, oidc_agent, own_files, own_places, secret_files, tokens, x509
from .rucio_session import TokenBox
from .vault import Vault


class CredentialDesk:
    """Makes, renews, hands out and drops the credentials of one profile; every method blocks and raises Problem."""

    def __init__(
        self,
        profile: Profile,
        runtime_dir: Path,
        state_dir: Path | None = None,
        *,
        box: TokenBox | None = None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        """`box` is the Rucio session that the console uses; `ended` is called when it must not be used any more."""
        self._profile = own_places.completed(profile, runtime_dir)
        self._runtime_dir = runtime_dir
        self._box = box or TokenBox(self._profile, runtime_dir)
        self._ended = ended
        self._vault = Vault(self._profile, runtime_dir, state_dir)

    # The keyring

    def needs_pass_phrase(self) -> str:
        """The encrypted file that has to be opened before this profile's secrets can be kept or read; "" when none has to."""
        profile = self._profile
        by_log_in = bool(profile.issuer) and bearers.origin_of(profile) == bearers.VAULT
        if not (by_log_in or profile.client_secret_keyring or profile.password_keyring) or keyring_.is_open():
            return ""
        return str(self._vault.keyring_file)

    def open_keyring(self, pass_phrase: Secret) -> None:
        """Open the encrypted file for this run, making it at the first time; a wrong pass phrase is a CredentialProblem."""
        keyring_.open_file(self._vault.keyring_file, pass_phrase)

    # Proxies

    def key_is_encrypted(self) -> bool:
        """The key of the profile's certificate needs a pass phrase."""
        key = self._profile.key
        return key is not None and own_files.is_encrypted(secret_files.read_secret(key, "the key"))

    def make_proxy(self, pass_phrase: Secret | None, hours: float) -> str:
        """An RFC 3820 proxy into the profile's proxy file, or the console's own place; says where and until when."""
        from . import proxy_maker

        certificate, key = self._profile.certificate, self._profile.key
        if certificate is None or key is None:
            raise CredentialProblem("a proxy is made from certificate and key", step="add both to the profile")
        content = proxy_maker.proxy(certificate, key, pass_phrase, hours)
        return self._keep_proxy(content, x509.parse(content, "the new proxy"))

    def voms_command(self) -> tuple[Sequence[str], dict[str, str]]:
        """Arguments and environment of voms-proxy-init, to be run on the operator's terminal; then `check_proxy`."""
        from . import voms

        return voms.command(self._profile, self._directory)

    def check_proxy(self, exit_status: int) -> str:
        """Take the proxy that voms-proxy-init left, when it holds (its exit status and the PEM are looked at, not its words)."""
        from . import voms

        content, found = voms.left(self._profile, self._directory, exit_status)
        return self._keep_proxy(content, found)

    def _keep_proxy(self, content: bytes, made: x509.CertificateFile) -> str:
        target = self._profile.proxy or own_places.proxy(self._profile, self._runtime_dir)
        self._may_replace(target, made)
        directory = self._directory if target.parent == self._runtime_dir / self._profile.name else target.parent
        try:
            secret_files.write_secret(directory, target.name, content)
            own_files.Marks(self._directory).put(target, content)
        except OSError as error:
            raise CredentialProblem(
                f"the proxy cannot be written to {target}: {error.strerror}",
                step="the old one is still there; name another place in the profile",
            ) from error
        if self._profile.auth == "x509_proxy":
            self._end_session()
        ac = min((each.expires for each in made.voms if each.expires is not None), default=None)
        attributes = f", its VOMS attributes until {_until(ac)}" if ac is not None else ""
        return f"proxy of {clean(made.subject)} in {target} until {_until(made.expires)}{attributes}"

    @staticmethod
    def _may_replace(target: Path, made: x509.CertificateFile) -> None:
        """Raises CredentialProblem when what lies there is something else than an older proxy of the same person."""
        if not os.path.lexists(target):
            return
        try:
            there = x509.read(target, "the file", secret=True)
        except CredentialProblem as problem:
            raise CredentialProblem(f"{problem.summary}: it is not replaced", step="move it away, then try again") from problem
        if not there.is_proxy or there.subject != made.subject:
            whose = f"a proxy of {clean(there.subject)}" if there.is_proxy else "a certificate that is no proxy"
            raise CredentialProblem(
                f"{target} holds {whose}: it is not replaced", step="move it away, or name another place in the profile"
            )

    # Tokens

    def log_in(self, told: Callable[[DeviceCode], None], cancel: Cancel) -> str:
        """The whole device flow: `told` is called with what to show, then the provider is asked until it grants or refuses."""
        from .oidc import Provider

        granted = Provider(self._profile).log_in(told, cancel)
        self._vault.take(granted, cancel)
        self._end_session()
        claims = tokens.decode(granted.token.reveal())
        who = f" as {clean(claims.subject)}" if claims is not None and claims.subject else ""
        lasting = "" if granted.refresh is not None else "; the provider gave no refresh token: log in again then (scope offline_access?)"
        return f"logged in{who}{_token_until(granted.expires)}{lasting}{self._noted()}{self._shadowed()}"

    def refresh(self) -> str:
        """A new access token by the refresh token, or by oidc-agent; one process does it for all (file lock)."""
        where = bearers.origin_of(self._profile)
        if where == bearers.AGENT:
            profile = self._profile
            given = oidc_agent.ask(profile.oidc_agent, profile.scope, profile.audience, oidc_agent.ANOTHER)
            oidc_agent.forget(profile.oidc_agent)
            self._end_session()
            return f"token from oidc-agent{_token_until(given.expires)}"
        if where != bearers.VAULT:
            raise CredentialProblem(
                "this token is not ours to refresh" if where else "there is no token to refresh",
                step="whoever wrote the file renews it"
                if where == bearers.FILE
                else "give the profile issuer and client_id, or oidc_agent",
            )
        seen = self._vault.read()
        kept = self._vault.refresh(seen.token.reveal() if seen is not None else "")
        self._end_session()
        return f"refreshed{_token_until(kept.expires)}{self._noted()}"

    def narrow(self, scope: str, audience: str) -> Path:
        """A token with this scope and audience in a private file of the profile; refused when it can do more than was asked."""
        if not scope.strip() and not audience.strip():
            raise UsageProblem("neither scope nor audience is named", step="name what the token is to allow, or whom it is for")
        if bearers.origin_of(self._profile) == bearers.AGENT:
            given = oidc_agent.ask(self._profile.oidc_agent, scope, audience)
            token, granted_scope = given.token, ""
        else:
            granted = self._vault.narrow(scope, audience)
            token, granted_scope = granted.token, granted.scope
        _check_narrow(token, granted_scope, scope, audience)
        return self._written("narrow", (scope, audience), token)

    def _noted(self) -> str:
        return f"; {self._vault.note}" if self._vault.note else ""

    def _shadowed(self) -> str:
        where = bearers.origin_of(self._profile)
        return "" if where == bearers.VAULT else f"; but the profile takes its token from: {where}"

    # Storage and FTS

    def macaroon(self, address: str, activities: Sequence[str], minutes: int) -> Path:
        """A macaroon of the https door at `address` in a private file of the profile."""
        from . import macaroons

        made = macaroons.ask(self._profile, address, activities, minutes, self._runtime_dir)
        return self._written("macaroon", (address, *activities), made)

    def delegate(self) -> datetime:
        """Delegate the proxy to the profile's FTS; until when it holds there."""
        from . import delegation

        return delegation.delegate(self._profile)

    def _written(self, kind: str, parts: Sequence[str], secret: Secret) -> Path:
        name = f"{kind}-{hashlib.sha256(repr(tuple(parts)).encode()).hexdigest()[:16]}"
        try:
            secret_files.write_secret(self._directory, name, f"{secret.reveal()}\n".encode())
        except OSError as error:
            raise CredentialProblem(f"{self._directory / name} cannot be written: {error.strerror}", step="free some space") from error
        return self._directory / name

    # In and out

    def take_file(self, path: Path) -> str:
        """Copy a proxy or token into the profile's private place, after looking at what it is."""
        content = secret_files.read_secret(path, "the file")
        if b"-----BEGIN" in content or content[:2] == b"\x30\x82":
            return self._keep_proxy(content, handing_over.looked_at_proxy(content, f"the file {path}"))
        token, expires, scope = handing_over.looked_at_token(content, path, self._profile)
        self._vault.put(token, expires, scope)
        self._end_session()
        return f"token kept{_token_until(expires)}"

    def export(self, credential_id: str, path: Path) -> str:
        """Write the credential to a new file, 0600; refuses to overwrite."""
        content, what = handing_over.content(credential_id, self._profile, self._runtime_dir)
        handing_over.write_new(path, content)
        return f"{what} written to {path}"

    def drop(self, credential_id: str) -> str:
        """Delete it where the console keeps it, end the Rucio session made with it; a file of others is not touched."""
        kind = handing_over.kind(credential_id)
        if kind == handing_over.SESSION:
            self._end_session()
            return "the Rucio session is forgotten: the next call logs in again"
        if kind == handing_over.PROXY:
            said = self._drop_proxy()
        elif kind == handing_over.TOKEN:
            said = self._drop_token()
        else:
            raise CredentialProblem(f"the {kind} is not the console's: it is not deleted", step="delete it yourself where it lies")
        self._end_session()
        return f"{said}; the Rucio session is ended"

    def _drop_proxy(self) -> str:
        target, marks = self._profile.proxy, own_files.Marks(self._directory)
        if target is None or not os.path.lexists(target):
            raise CredentialProblem("there is no proxy to delete", step="look again: it may be gone already")
        if target != own_places.proxy(self._profile, self._runtime_dir) and not marks.is_ours(target):
            raise CredentialProblem(f"{target} was not made by this console: it is not deleted", step=f"delete it yourself: rm {target}")
        try:
            target.unlink()
        except OSError as error:
            raise CredentialProblem(f"{target} cannot be deleted: {error.strerror}", step="is its file system read-only?") from error
        marks.forget(target)
        return f"{target} deleted"

    def _drop_token(self) -> str:
        where = bearers.origin_of(self._profile)
        if where == bearers.FILE:
            raise CredentialProblem(
                f"{self._profile.token_file} is not the console's: it is not deleted",
                step=f"delete it yourself: rm {self._profile.token_file}",
            )
        if where == bearers.AGENT:
            raise CredentialProblem("the token is oidc-agent's: it is not deleted", step=f"oidc-add --remove {self._profile.oidc_agent}")
        if where == bearers.HANDED_OVER:
            raise CredentialProblem("the token came from $BEARER_TOKEN: it is not kept anywhere", step="end this console")
        said = self._vault.drop()
        for pattern in ("narrow-*", "macaroon-*"):
            for each in self._directory.glob(pattern):
                each.unlink(missing_ok=True)
        return said

    @property
    def _directory(self) -> Path:
        return own_files.directory(self._profile, self._runtime_dir)

    def _end_session(self) -> None:
        self._box.forget()
        self._ended()


def _check_narrow(token: Secret, granted: str, scope: str, audience: str) -> None:
    """Raises CredentialProblem when the token allows more than was asked for, or is for somebody else."""
    claims = tokens.decode(token.reveal())
    given = set(granted.split()) or set(claims.scopes if claims is not None else ())
    more = given - set(scope.split())
    if scope.strip() and more:
        raise CredentialProblem(
            f"the provider gave more than was asked for: {clean(' '.join(sorted(more))[:200])}",
            step="it does not narrow tokens: the token was thrown away",
        )
    if audience.strip() and claims is not None and set(claims.audience) != set(audience.split()):
        raise CredentialProblem(
            f"the provider made a token for {clean(' '.join(claims.audience)[:200]) or 'nobody'}, not for {clean(audience)}",
            step="it does not know this audience: the token was thrown away",
        )


def _until(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _token_until(moment: datetime | None) -> str:
    return f", valid until {_until(moment)}" if moment is not None else ""
