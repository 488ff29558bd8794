"""Proves that a profile's credential works: a log-in of its own, then `whoami`. No session of an earlier run is used for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from ..domain.errors import CredentialProblem, ServerProblem
from ..domain.profile import Profile, host_text
from ..services.feeds import Cancel
from . import tokens, x509
from .rucio import Connection
from .rucio_session import TokenBox, client_class


class _FreshBox(TokenBox):
    """Knows no session but its own, and spoils none: a new one is kept for the next run, a refused log-in drops no other."""

    def read(self) -> bool:
        return bool(self.token) and super().read()

    def forget(self) -> None:
        self.token, self.expires = "", None


def prover(runtime_dir: Path) -> Callable[[Profile, Cancel], tuple[str, datetime | None]]:
    """What `services.proving` takes; loads Rucio's client first, about 0.3 s, so that no profile is charged for that.

    Raises CredentialProblem when `runtime_dir` is not ours alone.
    """
    client_class(runtime_dir)

    def prove(profile: Profile, cancel: Cancel) -> tuple[str, datetime | None]:
        _check_dates(profile)
        box = _FreshBox(profile, runtime_dir)
        connection = Connection(profile, box, runtime_dir)
        try:
            said = connection.document("accounts/whoami", cancel)
            token = connection.session_token()
        finally:
            connection.abandon()
        account = said.get("account") if isinstance(said, dict) else None
        if not isinstance(account, str):
            raise ServerProblem(
                f"{host_text(profile.rucio_host)} does not say who we are", step="is rucio_host right? a proxy or a portal may answer"
            )
        if profile.auth != "oidc":
            return account, box.expires
        claims = tokens.decode(token)
        return account, claims.expires if claims is not None else None

    return prove


def _check_dates(profile: Profile) -> None:
    """An ended proxy or certificate is said before the server's TLS says less: an alert, or a connection that breaks off."""
    path, what = {"x509": (profile.certificate, "certificate"), "x509_proxy": (profile.proxy, "proxy")}.get(profile.auth, (None, ""))
    if path is None:
        return
    found = x509.read(path, f"the {what}", secret=profile.auth == "x509_proxy")
    now = datetime.now(UTC)
    if found.expires <= now:
        raise CredentialProblem(f"the {what} {path} expired at {found.expires:%Y-%m-%d %H:%MZ}", step="make a new one")
    if found.not_before > now:
        raise CredentialProblem(
            f"the {what} {path} is not valid before {found.not_before:%Y-%m-%d %H:%MZ}", step="wait, or set this machine's clock right"
        )
