"""Which credential a job's transfers act as: the proxy its owner delegated, or for the robot the lake's own.

Nobody's job ever runs with somebody else's rights. Standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import register, topology
from ..state import State
from . import links
from .workers import Credential

NONE = Credential("none", "")


class NoCredential(Exception):
    """There is nothing to act as; the text is for the file's reason."""


class Credentials:
    """Proxies and tokens below the stand-in's directory, each 0600 in a 0700 directory."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._robot_proxy = state.proxy("robot")
        self.proxies = state.fts / "proxies"
        self.requests = state.fts / "requests"
        self.tokens = state.fts / "tokens"
        for directory in (state.fts, self.proxies, self.requests, self.tokens):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def delegated(self, delegation_id: str) -> Path:
        """Where the proxy delegated under an id lies, if there is one."""
        return self.proxies / f"{delegation_id}.pem"

    def note_key(self, pem: bytes) -> None:
        """Tell the lake's register of a private key that was made here."""
        register.note(self._state, *register.key_lines(pem))

    def of(self, file: Mapping[str, Any]) -> Credential:
        """The credential for a queued file; raises NoCredential."""
        if file["src_token_id"] or file["dst_token_id"]:
            ids = [each for each in (file["src_token_id"], file["dst_token_id"]) if each]
            files = {each: self.tokens / each for each in ids}
            if not all(path.is_file() for path in files.values()):
                raise NoCredential("The tokens of this transfer are gone")
            return Credential("token", ",".join(ids), None, files)
        if not links.needs_credential(file["source_surl"], file["dest_surl"]):
            return NONE
        proxy = self.delegated(file["of_cred_id"])
        if not proxy.is_file() and file["of_user_dn"] == topology.distinguished_name("robot"):
            proxy = self._robot_proxy
        version = _version(proxy)
        if version is None:
            raise NoCredential(f'No delegation found for "{file["of_user_dn"]}"')
        return Credential(proxy.stem if proxy == self._robot_proxy else file["of_cred_id"], version, proxy)

    def current(self, credential: Credential) -> bool:
        """Whether a credential is still what lies on disk."""
        return credential.proxy is None or _version(credential.proxy) == credential.version

    def keep_tokens(self, tokens: Mapping[str, str]) -> None:
        """Write the tokens of a job, each into a file of its own."""
        for name, token in tokens.items():
            write_secret(self.tokens / name, token.encode())

    def forget_tokens(self, in_use: set[str]) -> None:
        """Remove tokens that no transfer needs any more."""
        for path in self.tokens.iterdir():
            if path.name not in in_use:
                path.unlink(missing_ok=True)


def write_secret(path: Path, content: bytes) -> None:
    """Put a file in place in one step, readable by its owner only."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _version(path: Path) -> str | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return f"{status.st_ino}-{status.st_mtime_ns}-{status.st_size}"
