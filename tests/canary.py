"""Looks for the secrets of the suite's lakes in all that the suite says, starts and leaves behind.

    Ears       what was said: reports, output of our programs, pseudo-terminals, arguments and environments of processes
    learn      which secrets there are: a lake's register and, made before it, its key files, pass words and sessions
    spellings  how a secret may be written
    search     every secret in all that was said, and in all files but those of canary_places.py

Whatever is told here names kind and first four characters of a secret, never more.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64decode, b64encode
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from qostui.lake.inside import register
from qostui.lake.inside.processes import start_ticks
from qostui.lake.inside.state import State
from tests.canary_places import ALLOWED, Root

# Secrets

PIECE = 20
"""Characters that are looked for: a token cut short or wrapped on a screen is found by one of its pieces."""
_LEAST = 12
_KEY_LINE = re.compile(r"[A-Za-z0-9+/]{64}")
_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.([\w-]+)")
_SESSION = re.compile(r".*-([0-9a-f]{32})")
"""Rucio's own session token: account, identity, application and 32 random digits (rucio/core/authentication.py)."""
MACAROON = r"MDA.{3}xvY2F0aW9u[A-Za-z0-9+/_-]{40}"
"""How every macaroon of XRootD begins in base64: a length of four hexadecimal digits and `location`; much more follows."""


def learn(state: State) -> None:
    """Remember all that a lake has made up to now, so that the lake may go."""
    KNOWN.update(secrets_of(state))


def secrets_of(state: State) -> dict[str, str]:
    """Secret -> kind, of all a lake has made and not forgotten."""
    found = {secret: _kind(secret) for secret in map(json.loads, _text(state.register).splitlines())}
    for pattern, kind in _KEPT.items():
        for file in state.live.glob(pattern):
            found |= dict.fromkeys(_READERS.get(file.suffix, str.split)(file.read_text()), kind)
    return found | dict.fromkeys(_rucio_tokens(state.database), "Rucio session")


KNOWN: dict[str, str] = {}
"""Every secret of every lake of this run."""

_KEPT = {
    "client/*password": "pass word",
    "client/*.token": "token",
    "oidc/clients.json": "client secret",
    "oidc/key.json": "signing key",
    "oidc/forms.key": "forms' key",
    "etc/*/macaroon.key": "macaroons' key",
    "pki/**/*.pem": "private key",
    "pki/**/*.key": "private key",
    "fts/*/*.pem": "private key",
    "fts/*/*.key": "private key",
}


def _keys(text: str) -> list[str]:
    return register.key_lines(text.encode()) or ([] if "-----" in text else text.split())


def _members(text: str) -> list[str]:
    loaded = json.loads(text)
    return [loaded[name] for name in ("d", "p", "q")] if "kty" in loaded else list(loaded.values())


_READERS = {".pem": _keys, ".key": _keys, ".json": _members}


def _kind(secret: str) -> str:
    return "token" if _JWT.fullmatch(secret) else "private key" if _KEY_LINE.fullmatch(secret) else "secret"


def _text(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def _rucio_tokens(database: Path) -> list[str]:
    if not database.exists():
        return []
    # Without a log beside it nobody writes, and nothing may be made there: it would belong to us and not to the service.
    alone = "" if database.with_name(database.name + "-wal").exists() else "&immutable=1"
    opened = sqlite3.connect(f"file:{quote(str(database))}?mode=ro{alone}", uri=True, timeout=10)
    try:
        rows = opened.execute("SELECT token, refresh_token FROM tokens").fetchall()
    finally:
        opened.close()
    return [text for row in rows for text in row if text]


def spellings(secret: str) -> set[bytes]:
    """Pieces of a secret, raw, URL-encoded, and in base64 (both alphabets) at each of the three alignments."""
    telling = _JWT.fullmatch(secret) or _SESSION.fullmatch(secret)
    whole = (telling[1] if telling else secret).encode()
    found = {spelling for piece in _pieces(whole) for spelling in _spelled(piece)}
    if _KEY_LINE.fullmatch(secret):
        # The same key in another form (PKCS #1, PKCS #8) has the same bytes at another alignment.
        found |= {spelling for piece in _pieces(b64decode(whole)) for spelling in _based(piece)}
    return {each for each in found if len(each) >= _LEAST}


def _pieces(whole: bytes) -> set[bytes]:
    last = len(whole) - PIECE
    return {whole[start : start + PIECE] for start in (0, last // 2, last)} if last > 0 else {whole}


def _spelled(piece: bytes) -> Iterator[bytes]:
    for form in (piece, *_based(piece)):
        yield form
        yield quote(form, safe="").encode()
        yield re.sub(rb"%[0-9A-F]{2}", lambda found: found[0].lower(), quote(form, safe="").encode())


def _based(piece: bytes) -> Iterator[bytes]:
    for before in range(3):
        encoded = b64encode(b"\0" * before + piece)
        # The first and last groups mix with what stands beside the piece.
        cut = encoded[4 if before else 0 : -4 if (before + len(piece)) % 3 else None]
        yield cut
        yield cut.translate(bytes.maketrans(b"+/", b"-_"))


# Ears


@dataclass(frozen=True)
class Said:
    """Where something was said."""

    medium: str
    """`report`, `output`, `terminal`, `argument`, `environment`, `log`."""
    who: str
    """Test, program, `VARIABLE of program`, or file."""


class Ears:
    """Keeps all that is said in one private file; safe to call from any thread."""

    def __init__(self) -> None:
        self.file = Path(tempfile.mkdtemp(prefix="qostui-canary-")) / "said"
        self.file.touch(0o600)
        # Without a buffer: a forked child of a test would write what is in it a second time.
        self._write = self.file.open("wb", buffering=0)
        self.began = time.time()
        self._process = os.getpid()
        self._born = start_ticks(self._process) or 0
        self._size = 0
        self._starts: list[int] = []
        self._said: list[Said] = []
        self._seen: set[int] = set()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._hearing_pipes = False
        self._looked: set[tuple[str, bytes]] = set()
        self.processes: set[str] = set()
        """Process ids whose arguments and environment were read."""
        self.refused: set[str] = set()
        """Process ids whose environment the kernel would not show."""

    def hear(self, medium: str, who: str, text: str | bytes) -> None:
        """Keep a text, once for each who."""
        data = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
        known = hash((medium, who, data))
        with self._lock:
            if known in self._seen or self._write.closed:
                return
            self._seen.add(known)
            self._starts.append(self._size)
            self._said.append(Said(medium, who))
            self._write.write(data + b"\n")
            self._size += len(data) + 1

    def who_said(self, offset: int) -> Said:
        """What was said at this place of the file."""
        return self._said[bisect_right(self._starts, offset) - 1]

    def close(self) -> None:
        """Stop listening; the file goes."""
        self._ended.set()
        if self._hearing_pipes:
            subprocess.Popen.communicate = _COMMUNICATE  # type: ignore[method-assign]
        with self._lock:
            self._write.close()
        shutil.rmtree(self.file.parent)

    def hear_report(self, report: pytest.TestReport) -> None:
        """Keep what a test's report holds: captured output and log, and the traceback."""
        for name, text in report.sections:
            self.hear("report", f"{name} of {report.nodeid}", text)
        if report.longrepr:
            self.hear("report", f"traceback of {report.nodeid}", report.longreprtext)

    # Processes

    def hear_start(self, argv: Sequence[bytes], environment: Iterable[bytes]) -> None:
        """Keep each argument and each variable of a process, told by the program's name."""
        program = name_of(argv)
        for argument in argv:
            self.hear("argument", program, argument)
        for item in environment:
            name = item.partition(b"=")[0].decode("utf-8", "replace")
            self.hear("environment", f"{name} of {program}", item)

    def sample(self) -> None:
        """Look at the arguments of every process that is not older than this one, and at the environment of each whose arguments
        are new: exec changes both."""
        for pid in os.listdir("/proc"):
            if not pid.isdigit():
                continue
            try:
                line = Path("/proc", pid, "cmdline").read_bytes()
                if not line or (pid, line) in self._looked:
                    continue
                self._looked.add((pid, line))
                if (start_ticks(int(pid)) or 0) < self._born:
                    continue
                environment = Path("/proc", pid, "environ").read_bytes()
            except PermissionError:
                self.refused.add(pid)
                environment = b""
            except OSError:  # it is gone
                continue
            else:
                self.processes.add(pid)
            self.hear_start(line.rstrip(b"\0").split(b"\0"), filter(None, environment.split(b"\0")))

    def watch(self) -> None:
        """Until `close`: sample once a second; hear each process this one starts, as most live for less than a second; and hear
        what our own programs write into pipes. Other programs may say a token: it is what oidc-token is for."""

        def communicate(process: subprocess.Popen[Any], *arguments: Any, **more: Any) -> tuple[Any, Any]:
            written = _COMMUNICATE(process, *arguments, **more)
            for text in filter(None, written if is_ours(process.args) else ()):
                self.hear("output", current_test(), text)
            return written

        threading.Thread(target=self._keep_sampling, name="canary", daemon=True).start()
        sys.addaudithook(self._audited)
        self._hearing_pipes = True
        subprocess.Popen.communicate = communicate  # type: ignore[assignment,method-assign]

    def _keep_sampling(self) -> None:
        while not self._ended.wait(1):
            self.sample()

    def _audited(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in ("subprocess.Popen", "os.posix_spawn") or self._ended.is_set() or os.getpid() != self._process:
            return
        argv, environment = arguments[1], arguments[-1]
        words = [argv] if isinstance(argv, (str, bytes, os.PathLike)) else argv
        items: Mapping[Any, Any] = os.environ if environment is None else environment
        self.hear_start([os.fsencode(word) for word in words], [os.fsencode(k) + b"=" + os.fsencode(v) for k, v in items.items()])


EARS: list[Ears] = []
"""Those of this run; empty before and after it."""
_COMMUNICATE = subprocess.Popen.communicate


def hear(medium: str, who: str, text: str | bytes) -> None:
    """Tell this run's ears, if there are any."""
    for ears in EARS:
        ears.hear(medium, who, text)


def current_test() -> str:
    """What pytest runs now."""
    return os.environ.get("PYTEST_CURRENT_TEST", "no test")


def name_of(argv: Sequence[bytes]) -> str:
    """A program's file name; for `python -m x`, at any place, `x`."""
    words = [word.decode("utf-8", "replace") for word in argv]
    for option, module in pairwise(words):
        if option == "-m":
            return module
    return os.path.basename(words[0]) if words else ""


def is_ours(argv: object) -> bool:
    """Whether these are the arguments of a program of this project, whose output must hold no secret."""
    words = [argv] if isinstance(argv, (str, bytes, os.PathLike)) else list(argv) if isinstance(argv, (list, tuple)) else []
    return name_of([os.fsencode(word) for word in words]).split(".")[0] in ("qostui", "bench")


def keep_logs(state: State) -> None:
    """Hear the logs of a lake that is about to be removed."""
    for pattern in ("log/*", "fts/logs/**/*"):
        for file in state.live.glob(pattern):
            if file.is_file():
                hear("log", str(file.relative_to(state.live)), file.read_bytes())


# The search


@dataclass(frozen=True, order=True)
class Find:
    """A secret where none may be."""

    kind: str
    start: str
    """Its first four characters."""
    where: str

    def __str__(self) -> str:
        return f"{self.kind} {self.start}… in {self.where}"


def search(secrets: Mapping[str, str], ears: Ears, roots: Sequence[Root]) -> list[Find]:
    """All finds among what was said and in the files below the roots, sorted."""
    patterns = {spelling: (kind, secret[:4]) for secret, kind in secrets.items() for spelling in spellings(secret)}
    finds = set()
    for _, offset, text in _grep(patterns, [ears.file]):
        kind, start = _told(patterns, text)
        where = ears.who_said(offset)
        if not any((where.medium, where.who, kind) == (each.medium, each.who, each.kind) for each in ALLOWED):
            finds.add(Find(kind, start, f"{where.medium}: {where.who}"))
    owners: dict[Path, Root] = {}
    for root in roots:
        for file in root.files():
            owners.setdefault(file, root)
    for name, _, text in _grep(patterns, list(owners)):
        file = Path(os.fsdecode(name))
        objection = owners[file].objection(file)
        if objection:
            finds.add(Find(*_told(patterns, text), f"file {file}: {objection}"))
    return sorted(finds)


def _told(patterns: Mapping[bytes, tuple[str, str]], text: bytes) -> tuple[str, str]:
    return patterns.get(text) or ("macaroon", text[:4].decode())


def _grep(patterns: Iterable[bytes], files: Sequence[Path]) -> Iterator[tuple[bytes, int, bytes]]:
    """(file, offset, text) of each match of a fixed string or of a macaroon's beginning, by GNU grep: it takes 10,000 strings at once."""
    fixed = b"\n".join(patterns)
    assert fixed, "there is nothing to look for"
    for start in range(0, len(files), 1000):
        chunk = [os.fsencode(file) for file in files[start : start + 1000]]
        for options, given in (([b"-F"], fixed), ([b"-E"], MACAROON.encode())):
            command = [b"/usr/bin/grep", b"-aobHZ", *options, b"-f", b"-", b"--", *chunk]
            done = subprocess.run(command, input=given, env={"LC_ALL": "C"}, capture_output=True, check=False)
            if done.returncode > 1 and not _only_vanished(done.stderr):
                raise RuntimeError(f"grep ends with {done.returncode}: {done.stderr.decode(errors='replace')[:500]}")
            for match in re.finditer(rb"([^\0\n]+)\0(\d+):([^\n]*)\n", done.stdout):
                yield match[1], int(match[2]), match[3]


def _only_vanished(stderr: bytes) -> bool:
    return all(line.endswith(b"No such file or directory") for line in stderr.splitlines())
