"""Files of a profile that the console makes itself, and the certificate that its calls show."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..domain.errors import CredentialProblem
from ..domain.profile import Profile
from . import secret_files

_ENCRYPTED = (b"-----BEGIN ENCRYPTED PRIVATE KEY-----", b"Proc-Type: 4,ENCRYPTED")
"""PKCS #8 (RFC 5958, RFC 7468 section 11) and the older form of OpenSSL (RFC 1421)."""


def directory(profile: Profile, runtime_dir: Path) -> Path:
    """The private directory of the profile; made when missing. Raises CredentialProblem."""
    secret_files.private_directory(runtime_dir)
    return secret_files.private_directory(runtime_dir / profile.name)


def is_encrypted(key: bytes) -> bool:
    """Whether a PEM key needs a pass phrase."""
    return any(mark in key for mark in _ENCRYPTED)


def client_certificate(profile: Profile, what: str) -> str | tuple[str, str]:
    """Path of the proxy, or of certificate and key, that a call shows; `what` begins the sentence when there is none.

    A key with a pass phrase is refused: OpenSSL would ask for it on the terminal. Raises CredentialProblem.
    """
    if profile.proxy is not None and profile.proxy.exists():
        secret_files.read_secret(profile.proxy, "the proxy")
        return str(profile.proxy)
    if profile.certificate is None or profile.key is None:
        raise CredentialProblem(f"{what}: the profile has no certificate", step="give it proxy, or certificate and key")
    if not profile.certificate.exists():
        raise CredentialProblem(f"{what}: {profile.certificate} does not exist", step="check certificate and key of the profile")
    plain_key(profile.key)
    return str(profile.certificate), str(profile.key)


def plain_key(path: Path) -> bytes:
    """The content of a key file that needs no pass phrase; raises CredentialProblem."""
    content = secret_files.read_secret(path, "the key")
    if is_encrypted(content):
        raise CredentialProblem(f"the key {path} needs a pass phrase", step="make a proxy from it: its pass phrase is asked for once")
    return content


class Marks:
    """What of the files outside the private directory the console wrote: path -> SHA-256 of what it put there."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, path: Path, content: bytes) -> None:
        """Remember that we wrote this; raises OSError."""
        secret_files.write_secret(self._directory, self._name(path), hashlib.sha256(content).hexdigest().encode())

    def is_ours(self, path: Path) -> bool:
        """Whether the file is still as we wrote it. Raises CredentialProblem."""
        mark = self._directory / self._name(path)
        if not mark.exists() or not path.exists():
            return False
        noted = secret_files.read_secret(mark, "the mark", own=True).decode("ascii", "replace")
        return noted == hashlib.sha256(secret_files.read_secret(path, "the file")).hexdigest()

    def forget(self, path: Path) -> None:
        """Remember it no more."""
        (self._directory / self._name(path)).unlink(missing_ok=True)

    @staticmethod
    def _name(path: Path) -> str:
        return f"mark-{hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:32]}"
