"""Long-lived secrets: only from an unlocked Secret Service, or from an encrypted file opened once a run by a pass phrase.

No backend is ever chosen by `keyring` itself: on a node without a desktop it would pick one that asks on the terminal
or one that keeps clear text (reference: keyring 25.7.0, seen).
"""

from __future__ import annotations

import os
from threading import Lock
from typing import Any

from ..domain.errors import CredentialProblem
from ..domain.profile import Secret

SERVICE = "qostui"
_lock = Lock()
_opened: dict[str, Any] = {}
_values: dict[str, Secret] = {}


def _secret_service() -> Any | None:
    if not os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
        return None
    try:
        from keyring.backends.SecretService import Keyring
        from secretstorage import dbus_init, get_default_collection

        backend: Any = Keyring
        # A locked collection would open a prompt on somebody's desktop.
        return None if get_default_collection(dbus_init()).is_locked() else backend()
    except Exception:
        return None


def open_file(path: str, pass_phrase: Secret) -> None:
    """Open the encrypted keyring file for this run; raises CredentialProblem when the pass phrase is wrong."""
    try:
        from keyrings.cryptfile.cryptfile import CryptFileKeyring
    except ImportError as error:
        raise CredentialProblem("encrypted keyring files are not installed", step="pip install keyrings.cryptfile") from error
    backend = CryptFileKeyring()
    backend.file_path = path
    try:
        backend.keyring_key = pass_phrase.reveal()
    except ValueError:
        raise CredentialProblem("the pass phrase does not open the keyring file", step="try again") from None
    with _lock:
        _opened["file"] = backend


def get(name: str) -> Secret:
    """The entry `name` of service `qostui`; raises CredentialProblem with what can be done. Never prompts."""
    with _lock:
        if name in _values:
            return _values[name]
        backend = _opened.get("file") or _opened.get("service") or _secret_service()
        if backend is None:
            raise CredentialProblem(
                "no keyring is open: there is no unlocked Secret Service here",
                step="use password_file (mode 0600), or open a keyring file",
            )
        _opened.setdefault("service", backend)
        try:
            value = backend.get_password(SERVICE, name)
        except Exception as error:
            raise CredentialProblem(
                f"the keyring does not answer ({type(error).__name__})", step="unlock it, or use password_file"
            ) from None
        if value is None:
            raise CredentialProblem(f"the keyring has no entry {name!r} of service {SERVICE}", step=f"keyring set {SERVICE} {name}")
        _values[name] = Secret(value)
        return _values[name]
