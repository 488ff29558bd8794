"""Checks of where secrets are kept: the keyring, and the well-known places in which other programs look for credentials."""

from __future__ import annotations

import importlib.util
import os
import stat
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from ...domain.errors import CredentialProblem
from ...domain.finding import Finding
from ...services.feeds import Cancel
from .. import keyring_, secret_files
from .case import Case, fault, note, of_problem, ok, warning

NONE, LOCKED, OPEN = "none", "locked", "open"


def secret_service() -> str:
    """`open`, `locked`, or `none`: the Secret Service of this session. Never opens a prompt."""
    if not os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
        return NONE
    try:
        from secretstorage import dbus_init, get_default_collection

        return LOCKED if get_default_collection(dbus_init()).is_locked() else OPEN
    except Exception:  # whatever D-Bus and its library make of a session without a keyring
        return NONE


def has_encrypted_file() -> bool:
    """Whether an encrypted keyring file could be used."""
    try:
        return importlib.util.find_spec("keyrings.cryptfile") is not None
    except (ImportError, ValueError):
        return False


def check_keyring(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """That there is somewhere to keep long-lived secrets, and that what the profile names is there."""
    profile = case.profile
    names = [name for name in (profile.password_keyring, profile.client_secret_keyring) if name] if profile is not None else []
    return judged(secret_service(), has_encrypted_file(), names)


def judged(service: str, encrypted_file: bool, names: Sequence[str]) -> list[Finding]:
    """What the state of the keyring means for a profile that names these entries."""
    check = "credentials.keyring"
    if service == OPEN:
        found = []
        for name in names:
            try:
                keyring_.get(name)
            except CredentialProblem as problem:
                found.append(of_problem(check, name, problem))
        return found or [ok(check, "Secret Service", "the Secret Service is unlocked")]
    wanted = f", and the profile needs {', '.join(names)}" if names else ""
    if service == LOCKED:
        summary = f"the Secret Service is locked{wanted}"
        fix = "unlock it on the desktop, or use the encrypted file"
        return [warning(check, "Secret Service", summary, fix) if names else note(check, "Secret Service", summary, fix)]
    if encrypted_file:
        summary = f"there is no Secret Service here: an encrypted file is used, opened by a pass phrase once a run{wanted}"
        return [note(check, "Secret Service", summary)]
    summary = f"there is no keyring here: neither a Secret Service nor keyrings.cryptfile{wanted}"
    fix = "pip install keyrings.cryptfile"
    return [fault(check, "keyring", summary, fix) if names else warning(check, "keyring", summary, fix)]


def well_known_places() -> list[Path]:
    """Where grid tools, WLCG token discovery, Globus and rucio-clients look without being told."""
    uid, home, shared = os.geteuid(), Path.home(), Path("/tmp")  # noqa: S108 - the very places that are looked at
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    return [
        shared / f"x509up_u{uid}",
        shared / f"bt_u{uid}",
        *([Path(runtime) / f"bt_u{uid}"] if runtime else []),
        home / ".globus" / "userkey.pem",
        home / ".globus" / "usercred.p12",
        Path(tempfile.gettempdir()) / _user() / f".rucio_{_user()}",
    ]


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.geteuid())


def check_places(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """That nobody else has put something where programs look for our credentials, and that what we left there is private."""
    return strangers(well_known_places(), os.geteuid())


def strangers(places: Iterable[Path], uid: int) -> list[Finding]:
    """What lies at these places and should not."""
    check = "credentials.places"
    found: list[Finding] = []
    for path in places:
        try:
            entry = os.lstat(path)
        except OSError:
            continue
        look = f"look at it, then remove it: ls -ld {path}"
        if entry.st_uid not in (uid, 0):
            kind = "symbolic link" if stat.S_ISLNK(entry.st_mode) else "directory" if stat.S_ISDIR(entry.st_mode) else "file"
            summary = f"{path}, where programs look for our credentials, is a {kind} of another user (uid {entry.st_uid})"
            found.append(warning(check, path, summary, look))
        elif stat.S_ISLNK(entry.st_mode):
            found.append(note(check, path, f"{path} is a symbolic link to {os.readlink(path)}"))
        elif stat.S_ISDIR(entry.st_mode):
            if entry.st_mode & 0o022:
                summary = f"others may put tokens into {path}, where rucio-clients look for ours"
                found.append(warning(check, path, summary, f"chmod 700 {path}"))
        elif problem := secret_files.mode_problem(path):
            found.append(warning(check, path, f"{path} {problem}", f"chmod 600 {path}"))
    return found or [ok(check, "well-known places", "nothing of others lies where programs look for our credentials")]
