"""The files in which a secret of the suite's lakes may lie, and all places where a run leaves files.

In every other file, and in all that was said, a secret is a find (canary.py).
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path

from qostui.lake.inside.state import State


@dataclass(frozen=True)
class Place:
    """Files in which a secret is meant to lie."""

    pattern: str
    """Against the end of the path below the root, part by part (PurePath.match)."""
    why: str
    private: bool = True
    """Its own mode must keep others out; else a directory above it of mode 0700 will do."""


IN_A_LAKE = (
    Place("live/register", "what the search begins with"),
    Place("live/client/*", "pass words and tokens of the lake's clients"),
    Place("live/client/etc/rucio.cfg", "the pass word of the rucio command"),
    Place("live/pki/*.key", "keys of the CA and of hosts"),
    Place("live/pki/users/*.key", "keys of people"),
    Place("live/pki/*/*.pem", "proxies"),
    Place("live/oidc/*.json", "the issuer's signing key and the secrets of its clients"),
    Place("live/oidc/forms.key", "the issuer's key for its forms"),
    Place("live/rucio/etc/*", "Rucio's configuration holds its first pass word and its secret as a client"),
    Place("live/rucio/rucio.db*", "Rucio keeps its sessions as they are"),
    Place("live/fts/proxies/*", "proxies that were delegated"),
    Place("live/fts/requests/*", "keys that wait for a delegation"),
    Place("live/fts/tokens/*", "tokens of transfers"),
    Place("live/etc/*/macaroon.key", "what a storage signs its macaroons with"),
    Place("shell/*.pem", "root's own copy of a proxy: Globus takes nobody else's"),
)
IN_TESTS = (
    Place("qostui/*/token-*", "the console's Rucio sessions, each in the private directory of its profile"),
    *(
        Place(f"run/*/{name}", f"{what}, in the private directory of a profile; `run` is where tests put it")
        for name, what in {
            "token-*": "a Rucio session",
            "access-*": "an access token that two consoles share",
            "narrow-*": "a narrower token, for programs that read it from a file",
            "macaroon-*": "a macaroon, for the same",
            "proxy.pem": "a proxy that the console made",
        }.items()
    ),
    Place("test_a_proxy_of_the_lake_is_ta*/out.pem", "the proxy that this test has the console export"),
    Place("test_the_rucio_cfg_of_the_lake*/secrets/ops", "the pass word that this test has taken out of a rucio.cfg"),
    Place("test_*/token", "a token that a test of proofs has signed for it"),
    Place("test_a_planted_fault_is_f*/keys/*.key", "keys for voms-proxy-fake, which takes those of its own user only"),
    Place("test_*/*.file", "copies of what a profile names, some with a fault for the doctor: a wrong mode is one", private=False),
    Place(".rucio_*/auth_token_for_account_*", "the `rucio` program's own cache of sessions"),
)
ELSEWHERE: tuple[Place, ...] = ()
OF_RUCIO_CLIENTS = (Place("auth_token_for_account_*", "rucio-clients' own cache of sessions: the tests use it as a second pair of eyes"),)


@dataclass(frozen=True)
class Allowed:
    """What must be said in the open, because a program has no other way or a test wants it so."""

    medium: str
    who: str
    kind: str
    why: str


ALLOWED = (Allowed("argument", "oidc-gen", "client secret", "without a terminal it takes the secret of a client from no other place"),)


@dataclass(frozen=True)
class Root:
    """A directory (or file) that is searched."""

    path: Path
    places: tuple[Place, ...]
    without: tuple[str, ...] = ()
    """Names that are not gone into."""
    since: float = 0
    """Only files written after this moment (epoch seconds)."""

    def files(self) -> Iterator[Path]:
        """Its regular files; no link is followed."""
        if not self.path.is_dir():
            yield from [self.path] if self.path.is_file() else []
            return
        for directory, names, files in os.walk(self.path):
            names[:] = [name for name in names if name not in self.without]
            for name in files:
                file = Path(directory, name)
                try:
                    found = file.lstat()
                except OSError:
                    continue
                if stat.S_ISREG(found.st_mode) and found.st_mtime >= self.since:
                    yield file

    def objection(self, file: Path) -> str:
        """Why no secret may be in this file; "" when it may."""
        below = file.relative_to(self.path.parent)
        place = next((place for place in self.places if below.match(place.pattern)), None)
        if place is None:
            return "no secret belongs there"
        try:
            mode = stat.S_IMODE(file.stat().st_mode)
        except FileNotFoundError:  # it went meanwhile, from where it may be
            return ""
        kept = not mode & 0o077 or (not place.private and any(not above.stat().st_mode & 0o077 for above in file.parents))
        return "" if kept else f"others can read it (mode {mode:04o})"


def everywhere(pytest_place: Path, lakes: Sequence[State], began: float) -> list[Root]:
    """What a run leaves: pytest's files, the lakes', what is new below the places for temporary files, pictures and reports."""
    repository = Path(__file__).resolve().parents[1]
    roots = [Root(pytest_place, IN_TESTS)]
    roots += [Root(lake.root, IN_A_LAKE, ("env", "code", "image")) for lake in lakes]
    roots += [Root(repository, (), (".git", ".venv", "__pycache__"), began), Root(repository / "tests" / "snapshots", ())]
    # rucio/client/baseclient.py, TOKEN_PATH_PREFIX
    roots.append(Root(Path(tempfile.gettempdir(), getuser(), f".rucio_{getuser()}"), OF_RUCIO_CLIENTS, since=began))
    for place in {tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"}:
        for entry in os.scandir(place):
            known = entry.name.startswith(("pytest-of-", "qostui-lake-", "qostui-canary-")) or Path(entry.path) in pytest_place.parents
            if not known and entry.stat(follow_symlinks=False).st_ctime >= began:
                roots.append(Root(Path(entry.path), ELSEWHERE, since=began))
    return roots
