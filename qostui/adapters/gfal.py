"""gfal2 in processes of its own: workers for one credential each, a small pool of them for each version of a credential.

A worker's identity is fixed at its start (see gfal_worker.py), so a switch or a renewal means other workers and never a change of
one. It does one operation at a time, under a time limit of ours, since gfal2 ignores its own over davs and root; one that hangs is
killed with its process group and replaced. Secrets reach it in memory files: no path, no environment value, nothing left behind.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar

from ..domain.errors import Problem, ServerProblem
from ..domain.profile import Secret
from ..services.feeds import Cancel, Cancelled
from . import gfal_errors

T = TypeVar("T")
WORKER = Path(__file__).with_name("gfal_worker.py")
MAX_LINE = 16 << 20
TAIL_LINES = 40
WORKERS = 4
"""At most so many for one version of a credential."""
SHORTEST_SECRET = 16
"""A shorter line of a credential file is no secret, and taken out everywhere it would spoil error texts."""
NOWHERE = "/nonexistent"
"""Where libraries are pointed to that would else look in a home directory or in /tmp for a credential."""
PASSED_ON = ("GFAL_PLUGIN_DIR", "GFAL_CONFIG_DIR")
"""Say where software lies, not who we are."""
PROXY, CERTIFICATE, TOKEN, NOBODY = "proxy", "certificate", "token", "nobody"
_VARIABLES = {PROXY: "X509_USER_PROXY", CERTIFICATE: "X509_USER_PROXY", TOKEN: "BEARER_TOKEN_FILE"}
"""Kind -> variable that names its file. A certificate with its key in one file is used as a proxy is."""
_XROOT_LOG_IN = {PROXY: "gsi", CERTIFICATE: "gsi", TOKEN: "ztn", NOBODY: "unix"}
"""Kind -> the only way in that XRootD's client may offer: it would else try all that it finds something for."""
_LIMITS = {
    "XRD_LOGLEVEL": "Error",
    "XRD_CONNECTIONWINDOW": "5",
    "XRD_CONNECTIONRETRY": "1",
    "XRD_STREAMTIMEOUT": "15",
    "XRD_REQUESTTIMEOUT": "20",
}
"""By default XRootD's client waits for minutes; the worker would be killed before it could say why."""


@dataclass(frozen=True)
class Bearing:
    """What one worker shows to storages: one credential in one version, and whom it trusts."""

    kind: str
    """PROXY, CERTIFICATE (the certificate and its key), TOKEN or NOBODY."""
    content: Secret | None = None
    """Of its file."""
    ca_path: Path | None = None
    voms_dir: Path | None = None
    owner: str = ""
    """Whose it is: a new version of the same owner and kind makes the older one retire."""
    version: str = field(init=False)
    """Differs whenever something above does; tells nothing about it."""

    def __post_init__(self) -> None:
        if (self.content is None) is not (self.kind == NOBODY):
            raise ValueError(f"{self.kind}: only nobody shows nothing")
        shown = self.content.reveal() if self.content is not None else ""
        parts = (self.kind, shown, str(self.ca_path), str(self.voms_dir), self.owner)
        object.__setattr__(self, "version", hashlib.sha256(repr(parts).encode("utf-8", "backslashreplace")).hexdigest()[:16])

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must be in no text: the content, and each of its longer lines."""
        text = self.content.reveal().strip() if self.content is not None else ""
        return tuple(line for line in (text, *text.splitlines()) if len(line) >= SHORTEST_SECRET and "-----" not in line)

    @property
    def shows_certificate(self) -> bool:
        """Whether TLS shows one to a server that asks."""
        return self.kind in (PROXY, CERTIFICATE)

    def environment(self, file: int | None, nobody: int | None = None) -> dict[str, str]:
        """All variables of the worker; it inherits the descriptors of the content and of nobody's certificate."""
        values = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        values |= {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": NOWHERE, "XDG_RUNTIME_DIR": NOWHERE, **_LIMITS}
        values |= {"X509_USER_PROXY": NOWHERE, "XrdSecPROTOCOL": _XROOT_LOG_IN[self.kind]}
        values |= {"X509_CERT_DIR": str(self.ca_path)} if self.ca_path is not None else {}
        values |= {"X509_VOMS_DIR": str(self.voms_dir)} if self.voms_dir is not None else {}
        values |= {"QOSTUI_NOBODY_CERTIFICATE": f"/proc/self/fd/{nobody}"} if nobody is not None else {}
        return values | ({_VARIABLES[self.kind]: f"/proc/self/fd/{file}"} if file is not None else {})


def pythons() -> list[str]:
    """Interpreters that may have gfal2, the one that was asked for first."""
    asked = os.environ.get("QOSTUI_GFAL_PYTHON", "")
    return [asked] if asked else list(dict.fromkeys(each for each in ("/usr/bin/python3", sys.executable) if os.path.exists(each)))


class _Spawner:
    """Starts processes in one thread that lives as long as we do: PR_SET_PDEATHSIG is about the thread that forked."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._orders: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] | None = None

    def __call__(self, start: Callable[[], T]) -> T:
        """What `start` returns or raises, done in that thread."""
        with self._lock:
            if self._orders is None:
                self._orders = SimpleQueue()
                Thread(target=self._work, args=(self._orders,), name="gfal-spawner", daemon=True).start()
        done: Future[T] = Future()
        self._orders.put((start, done))
        return done.result()

    @staticmethod
    def _work(orders: SimpleQueue[tuple[Callable[[], Any], Future[Any]]]) -> None:
        while True:
            start, done = orders.get()
            try:
                done.set_result(start())
            except BaseException as error:
                done.set_exception(error)


_spawn = _Spawner()


class Worker:
    """One process with gfal2 for one bearing; started at the first call, and again at the next one after it was killed."""

    def __init__(self, bearing: Bearing) -> None:
        self.bearing = bearing
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._number = 0
        self._serving = 0
        """Number of the operation under way; 0 while idle."""
        self._ended = False
        self._rest = b""
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.gfal2 = ""
        """Version of gfal2, once it has started."""

    @property
    def pid(self) -> int | None:
        """Of the running process."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def call(self, operation: str, time_limit_s: float, cancel: Cancel | None = None, **arguments: Any) -> Any:
        """The result of an operation that has no batches; raises Problem, or Cancelled."""
        answers = self.stream(operation, time_limit_s, cancel, **arguments)
        while True:
            try:
                next(answers)
            except StopIteration as end:
                return end.value

    def stream(self, operation: str, time_limit_s: float, cancel: Cancel | None = None, **arguments: Any) -> Generator[Any, None, Any]:
        """The batches of an operation, then its result as the value of StopIteration; raises Problem, or Cancelled.

        Dropping it before the end kills the worker, as the time limit (seconds for all of it) and `cancel` do.
        """
        address = str(arguments.get("url", ""))
        deadline = time.monotonic() + time_limit_s
        ended = False
        self._number += 1
        self._serving = number = self._number
        try:
            if cancel is not None:
                cancel.closes(lambda: self._kill_serving(number))
            self._ready(deadline, address)
            # Whoever cancelled or ended us while the process was being started had nothing to kill.
            if cancel is not None and not cancel.wanted:
                raise Cancelled
            if self._ended:
                raise self._problem(address, gfal_errors.DIED, "ended")
            self._tail.clear()
            self._write({"id": self._number, "op": operation, "args": arguments}, address)
            while True:
                answer = self._answer(deadline, address)
                if answer.get("id") != self._number:
                    continue
                if "batch" in answer:
                    yield answer["batch"]
                    continue
                ended = True
                break
        except Problem:
            if cancel is not None and not cancel.wanted:
                raise Cancelled from None
            raise
        finally:
            self._end_serving()
            if not ended:
                self.kill()
        if "ok" in answer:
            return answer["ok"]
        self._read_errors()
        error = answer["error"]
        raise self._problem(address, int(error["code"]), f"{error['name']}: {error['text']}")

    def kill(self) -> None:
        """End it now, with whatever it has started; safe from any thread."""
        with self._lock:
            self._kill()

    def end(self) -> None:
        """Kill it, and start it no more."""
        self._ended = True
        self.kill()

    def _kill_serving(self, number: int) -> None:
        """The same, if it is still at that operation: who cancels late must not hit the next one."""
        with self._lock:
            if self._serving == number:
                self._kill()

    def _end_serving(self) -> None:
        with self._lock:
            self._serving = 0

    def _kill(self) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def close(self) -> None:
        """End it when it is idle; killed, since there is nothing to lose and gfal2's destructors can abort."""
        self.kill()
        process, self._process = self._process, None
        for pipe in (process.stdin, process.stdout, process.stderr) if process is not None else ():
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    # How it works

    def _ready(self, deadline: float, address: str) -> None:
        if self.pid is not None:
            return
        self.close()
        unusable = []
        for python in pythons():
            try:
                self._process = _spawn(partial(self._start, python))
            except OSError as error:
                unusable.append(f"{python}: {error.strerror}")
                continue
            self._rest = b""
            said = self._answer(deadline, address)
            if "ready" in said:
                self.gfal2 = str(said.get("gfal2", ""))
                return
            unusable.append(f"{python}: {said.get('unusable')}")
            self.close()
        raise gfal_errors.missing("; ".join(unusable))

    def _start(self, python: str) -> subprocess.Popen[bytes]:
        content = self.bearing.content
        file = memory_file(content) if content is not None else None
        nobody = None if self.bearing.shows_certificate else memory_file(_nobody())
        files = tuple(each for each in (file, nobody) if each is not None)
        try:
            process = subprocess.Popen(
                [python, "-s", "-u", str(WORKER), str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                cwd="/",
                env=self.bearing.environment(file, nobody),
                pass_fds=files,
                start_new_session=True,
            )
        finally:
            for each in files:
                os.close(each)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
        return process

    def _write(self, request: dict[str, Any], address: str) -> None:
        process = self._process
        if process is None or process.stdin is None:
            raise self._problem(address, gfal_errors.DIED, "killed")
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
        except (OSError, ValueError):
            raise self._died(address) from None

    def _answer(self, deadline: float, address: str) -> dict[str, Any]:
        """The next line of the worker; raises Problem when none comes in time or it is gone."""
        process = self._process
        if process is None or process.stdout is None or process.stderr is None:
            raise self._problem(address, gfal_errors.DIED, "killed")
        waiting = select.poll()
        waiting.register(process.stdout, select.POLLIN)
        waiting.register(process.stderr, select.POLLIN)
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0:
                self._read_errors()
                raise self._problem(address, gfal_errors.NO_ANSWER, "")
            for descriptor, _ in waiting.poll(left * 1000 + 1):
                if descriptor == process.stderr.fileno():
                    if not self._read_errors():
                        waiting.unregister(process.stderr)
                    continue
                part = process.stdout.read(1 << 18)
                if part == b"" or len(self._rest) > MAX_LINE:
                    raise self._died(address)
                self._rest += part or b""
        line, _, self._rest = self._rest.partition(b"\n")
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            said = gfal_errors.masked(line[:200].decode("utf-8", "replace"), self.bearing.secrets)
            raise ServerProblem("gfal2's worker talks nonsense", detail=said, step="report this")
        return answer

    def _read_errors(self) -> bool:
        """Take what was written on standard error; False at its end."""
        process = self._process
        if process is None or process.stderr is None:
            return False
        while True:
            try:
                part = process.stderr.read(1 << 16)
            except (OSError, ValueError):
                return False
            if not part:
                return part is None
            self._tail.extend(part.decode("utf-8", "replace").splitlines())

    def _died(self, address: str) -> Problem:
        self._read_errors()
        self.kill()
        status = self._process.returncode if self._process is not None else None
        return self._problem(address, gfal_errors.DIED, f"exit status {status}")

    def _problem(self, address: str, code: int, text: str) -> Problem:
        return gfal_errors.problem(address or "gfal2://", code, text, "\n".join(self._tail), self.bearing.secrets)


@cache
def _nobody() -> Secret:
    """A certificate with its key that says nothing of anyone, for libraries that insist on one."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nobody")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - timedelta(1), now + timedelta(365))
    content = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    content += key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Secret(content.decode())


def memory_file(content: Secret) -> int:
    """Descriptor of a file in memory that only whoever inherits it can open, as /proc/self/fd/N (memfd_create(2))."""
    file = os.memfd_create("credential", os.MFD_CLOEXEC)
    os.fchmod(file, 0o600)
    data = content.reveal().encode("utf-8", "surrogateescape")
    while data:
        data = data[os.write(file, data) :]
    return file
