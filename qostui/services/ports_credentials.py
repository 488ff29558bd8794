"""What can be done with the credentials of one profile: filled by `adapters.desk`, used by the console and the commands.

Every method blocks and is called in a lane; each raises Problem. Sentences that come back are for the operator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from ..domain.profile import Secret
from .feeds import Cancel

ACTIONS = {
    "proxy": "make a proxy from the certificate",
    "voms": "make a VOMS proxy (voms-proxy-init)",
    "log-in": "log in at the OpenID provider",
    "refresh": "refresh the token now",
    "narrow": "get a token with fewer rights or another audience",
    "macaroon": "get a macaroon from a storage door",
    "delegate": "delegate to FTS",
    "import": "take a credential from a file",
    "export": "write the credential to a file",
    "drop": "delete the credential, and end its session",
}
"""Name of each action -> what it does."""


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What the operator needs for a log-in by the device flow (RFC 8628 section 3.2)."""

    address: str
    """verification_uri, for typing."""
    code: str
    """user_code."""
    whole_address: str
    """verification_uri_complete, for the QR code; "" when the provider gives none."""
    expires: datetime


class Desk(Protocol):
    """Makes, renews, hands out and drops the credentials of one profile."""

    def needs_pass_phrase(self) -> str:
        """What a pass phrase has to be asked for before secrets can be kept (the path of the encrypted file), "" when none is needed."""

    def open_keyring(self, pass_phrase: Secret) -> None:
        """Open the encrypted file for this run, making it at the first time; a wrong pass phrase is a CredentialProblem."""

    def key_is_encrypted(self) -> bool:
        """The key of the profile's certificate needs a pass phrase."""

    def make_proxy(self, pass_phrase: Secret | None, hours: float) -> str:
        """An RFC 3820 proxy into the profile's proxy file, or the console's own place; says where and until when."""

    def voms_command(self) -> tuple[Sequence[str], dict[str, str]]:
        """Arguments and environment of voms-proxy-init, to be run on the operator's terminal; then `check_proxy`."""

    def check_proxy(self, exit_status: int) -> str:
        """Whether voms-proxy-init left a proxy that holds (its exit status and the PEM are looked at, not its words)."""

    def log_in(self, told: Callable[[DeviceCode], None], cancel: Cancel) -> str:
        """The whole device flow: `told` is called with what to show, then the provider is asked until it grants or refuses."""

    def refresh(self) -> str:
        """A new access token by the refresh token, or by oidc-agent; one process does it for all (file lock)."""

    def narrow(self, scope: str, audience: str) -> Path:
        """A token with this scope and audience in a private file of the profile."""

    def macaroon(self, address: str, activities: Sequence[str], minutes: int) -> Path:
        """A macaroon of the https door at `address` in a private file of the profile."""

    def delegate(self) -> datetime:
        """Delegate the proxy to the profile's FTS; until when it holds there."""

    def take_file(self, path: Path) -> str:
        """Copy a proxy or token into the profile's private place, after looking at what it is."""

    def export(self, credential_id: str, path: Path) -> str:
        """Write the credential to a new file, 0600; refuses to overwrite."""

    def drop(self, credential_id: str) -> str:
        """Delete it where the console keeps it, end the Rucio session made with it; a file of others is not touched."""
