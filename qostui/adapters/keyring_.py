"""Long-lived secrets: only from an unlocked Secret Service, or from an encrypted file opened once a run by a pass phrase.

No backend is ever chosen by `keyring` itself: on a node without a desktop it would pick one that asks on the terminal
or one that keeps clear text (reference: keyring 25.7.0, seen). keyrings.cryptfile writes its file in place, so that a full
disk would cost all entries: here it writes to a copy, which then takes the file's place.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkstemp
from threading import RLock
from typing import Any

from ..domain.errors import CredentialProblem
from ..domain.profile import Secret
from . import file_lock, secret_files

SERVICE = "qostui"
ROOM_BYTES = 1 << 16
"""So much must be free before a refresh token is spent whose successor has to be kept."""
_lock = RLock()
_opened: dict[str, Any] = {}
_values: dict[str, Secret] = {}
_unsaved: dict[str, Secret] = {}
"""Newer than what the backend has, since writing failed: lost at the end of the run."""


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


def is_open() -> bool:
    """Whether secrets can be kept: the file was opened, or a Secret Service is unlocked. Never prompts."""
    with _lock:
        return _backend() is not None


def _backend() -> Any | None:
    if "file" in _opened:
        return _opened["file"]
    if "service" not in _opened:
        service = _secret_service()
        if service is None:
            return None
        _opened["service"] = service
    return _opened["service"]


def _needed() -> Any:
    backend = _backend()
    if backend is None:
        raise CredentialProblem(
            "no keyring is open: there is no unlocked Secret Service here",
            step="use password_file (mode 0600), or open a keyring file",
        )
    return backend


def open_file(path: Path, pass_phrase: Secret) -> None:
    """Open the encrypted keyring file for this run, making it at the first time.

    Raises CredentialProblem when the pass phrase is wrong or the file is no keyring: nothing is changed then.
    """
    try:
        from keyrings.cryptfile.cryptfile import CryptFileKeyring
    except ImportError as error:
        raise CredentialProblem("encrypted keyring files are not installed", step="pip install keyrings.cryptfile") from error
    if not pass_phrase.reveal().strip():
        raise CredentialProblem("an empty pass phrase keeps nothing secret", step="type one")

    class Existing(CryptFileKeyring):
        def _init_file(self) -> None:
            # It would start a file that it cannot read anew, and what was in it could not be read any more.
            raise _damaged(path)

    secret_files.private_directory(path.parent)
    with _lock:
        if os.path.lexists(path) and secret_files.read_secret(path, "the keyring file"):
            backend = Existing()
            backend.file_path = str(path)
            _unlock(backend, path, pass_phrase)
        else:
            backend = CryptFileKeyring()
            with file_lock.held(path.with_suffix(".lock"), "the keyring file"), _rewriting(backend, path, b""):
                _unlock(backend, path, pass_phrase)
        _opened["file"] = backend
        _values.clear()
        _values.update(_unsaved)


def _unlock(backend: Any, path: Path, pass_phrase: Secret) -> None:
    try:
        backend.keyring_key = pass_phrase.reveal()
    except (CredentialProblem, OSError):
        raise
    except (ValueError, AssertionError):
        raise CredentialProblem("the pass phrase does not open the keyring file", step="try again: nothing was changed") from None
    except Exception as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> CredentialProblem:
    return CredentialProblem(
        f"{path} is no keyring file, or a damaged one", step="move it away: a new one is made with the next pass phrase"
    )


@contextlib.contextmanager
def _rewriting(backend: Any, path: Path, before: bytes) -> Iterator[None]:
    """Let the backend write to a copy, which takes the file's place at the end."""
    temporary = ""
    try:
        descriptor, temporary = mkstemp(dir=path.parent, prefix=".keyring-")
        with os.fdopen(descriptor, "wb") as file:
            file.write(before)
        backend.file_path = temporary
        yield
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        temporary = ""
    except OSError as error:
        raise CredentialProblem(
            f"the keyring file {path} cannot be written: {error.strerror}", step="free some space, or make the place writable"
        ) from error
    finally:
        backend.file_path = str(path)
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


@contextlib.contextmanager
def _changing(backend: Any) -> Iterator[None]:
    """Around each change of an entry."""
    in_file = _opened.get("file") is backend
    if not in_file:
        yield
        return
    path = Path(backend.file_path)
    secret_files.private_directory(path.parent)
    with file_lock.held(path.with_suffix(".lock"), "the keyring file"):
        before = secret_files.read_secret(path, "the keyring file")
        with _rewriting(backend, path, before):
            yield


def check_room() -> None:
    """Raises CredentialProblem when a new value could not be kept in the open file: read-only, or full."""
    with _lock:
        backend = _opened.get("file")
        if backend is None:
            return
        path = Path(backend.file_path)
        try:
            descriptor, temporary = mkstemp(dir=path.parent, prefix=".keyring-")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(bytes(path.stat().st_size + ROOM_BYTES))
            finally:
                os.unlink(temporary)
        except OSError as error:
            raise CredentialProblem(
                f"the keyring file {path} cannot be written: {error.strerror}", step="free some space, or make the place writable"
            ) from error


def get(name: str) -> Secret:
    """The entry `name` of service `qostui`; raises CredentialProblem with what can be done. Never prompts."""
    with _lock:
        return _values[name] if name in _values else newest(name)


def newest(name: str) -> Secret:
    """The same, but looked up again: another console may have changed it."""
    found = find(name)
    if found is None:
        raise CredentialProblem(f"the keyring has no entry {name!r} of service {SERVICE}", step=f"keyring set {SERVICE} {name}")
    return found


def find(name: str) -> Secret | None:
    """The entry as it is now, None when there is none; raises CredentialProblem when no keyring can be asked."""
    with _lock:
        if name in _unsaved:
            return _unsaved[name]
        value = _asked(_needed(), name)
        if value is None:
            _values.pop(name, None)
            return None
        _values[name] = Secret(value)
        return _values[name]


def _asked(backend: Any, name: str) -> str | None:
    try:
        found: str | None = backend.get_password(SERVICE, name)
    except Exception as error:
        raise CredentialProblem(f"the keyring does not answer ({type(error).__name__})", step="unlock it, or use password_file") from None
    return found


def put(name: str, secret: Secret) -> None:
    """Keep an entry, over an older one; raises CredentialProblem when it cannot be kept: then it is known for this run only."""
    with _lock:
        _unsaved[name] = _values[name] = secret
        backend = _needed()
        with _changing(backend):
            try:
                backend.set_password(SERVICE, name, secret.reveal())
            except OSError:
                raise
            except Exception as error:
                raise CredentialProblem(f"the keyring does not take it ({type(error).__name__})", step="unlock the keyring") from None
        del _unsaved[name]


def delete(name: str) -> bool:
    """Remove an entry; False when there was none. Raises CredentialProblem when it cannot be removed."""
    with _lock:
        known = _unsaved.pop(name, None) is not None
        _values.pop(name, None)
        backend = _backend()
        if backend is None or _asked(backend, name) is None:
            return known
        with _changing(backend):
            try:
                backend.delete_password(SERVICE, name)
            except OSError:
                raise
            except Exception as error:
                raise CredentialProblem(f"the keyring does not give it up ({type(error).__name__})", step="unlock the keyring") from None
        return True


def close() -> None:
    """Forget pass phrase and values: the next use has to open a keyring again."""
    with _lock:
        for each in (_opened, _values, _unsaved):
            each.clear()
