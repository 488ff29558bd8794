"""Who may log in: the lake's people with a token account, their pass words, and the scopes each may be granted."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .. import atomic, register, topology
from ..state import State
from . import scopes

_COST, _BLOCK, _LANES = 2**12, 8, 1
"""scrypt parameters: 4 MB for each check. The pass words have 96 random bits, and the provider should stay small."""
_READER_KINDS = frozenset((*scopes.IDENTITY_KINDS, "storage.read", "fts"))
_OWNER_KINDS = frozenset((*scopes.IDENTITY_KINDS, *scopes.DATA_KINDS, "fts"))


@dataclass(frozen=True)
class User:
    """A person as the provider knows one; `name` is the token's subject."""

    name: str
    groups: tuple[str, ...]
    kinds: frozenset[str]
    """Kinds of scope this person may be granted."""

    def allowed(self, wanted: Iterable[str]) -> list[str]:
        """Those of `wanted` that this person may have; groups only of their own."""
        return [scope for scope in wanted if scopes.kind(scope) in self.kinds and self._own_group(scope)]

    def _own_group(self, scope: str) -> bool:
        name, _, group = scope.partition(":")
        return name != "wlcg.groups" or not group or group in self.groups


@dataclass(frozen=True)
class Visit:
    """A user at a browser who proved at `time` (epoch seconds) who they are."""

    user: User
    time: int

    def get_user_id(self) -> str:
        """The subject, as Authlib asks for it."""
        return self.user.name


def users() -> dict[str, User]:
    """All who may log in, by name: whoever may write on the storages may be granted everything, others only reading."""
    return {
        person.name: User(person.name, person.groups, _OWNER_KINDS if person.storage == "a" else _READER_KINDS)
        for person in topology.PEOPLE
        if person.token_account
    }


def groups_of(subject: str) -> tuple[str, ...]:
    """The groups of a person, in the person's own order; empty for clients and strangers."""
    return next((person.groups for person in topology.PEOPLE if person.name == subject), ())


def password_file(state: State, person: str) -> Path:
    """Where the pass word for the log-in page lies, mode 0600."""
    return state.client / f"{person}.idp-password"


def hash_password(password: str) -> str:
    """`salt$digest`, both base64, by scrypt."""
    salt = secrets.token_bytes(16)
    return f"{base64.b64encode(salt).decode()}${base64.b64encode(_digest(password, salt)).decode()}"


def check_password(password: str, stored: str) -> bool:
    """Whether `password` is the one that `stored` was made of."""
    salt, digest = (base64.b64decode(part) for part in stored.split("$"))
    return hmac.compare_digest(_digest(password, salt), digest)


def _digest(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=salt, n=_COST, r=_BLOCK, p=_LANES, dklen=32)


def hashes_file(state: State) -> Path:
    """Name -> pass word hash, as JSON, mode 0600."""
    return state.oidc / "users.json"


def prepare(state: State) -> None:
    """Give each person a pass word who has none, and keep the hashes in step with the pass word files."""
    path = hashes_file(state)
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    wanted: dict[str, str] = {}
    for name in users():
        file = password_file(state, name)
        if not file.exists():
            made = secrets.token_urlsafe(12)
            register.note(state, made)
            atomic.write(file, made + "\n", 0o600)
        password = file.read_text().strip()
        same = name in known and check_password(password, known[name])
        wanted[name] = known[name] if same else hash_password(password)
    if wanted != known:
        atomic.write(path, json.dumps(wanted, indent=1), 0o600)


class Doorkeeper:
    """Checks log-ins against the hashes read at start."""

    def __init__(self, state: State) -> None:
        self._hashes: dict[str, str] = json.loads(hashes_file(state).read_text())
        self._nobody = hash_password(secrets.token_urlsafe(12))
        self.users = users()

    def admit(self, name: str, password: str) -> User | None:
        """The user, if name and pass word fit; an unknown name costs the same time as a wrong pass word."""
        user = self.users.get(name)
        stored = self._hashes.get(name, self._nobody)
        return user if check_password(password, stored) and user and name in self._hashes else None
