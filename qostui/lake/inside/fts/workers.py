"""Child processes that do the copying: each holds one credential, takes one request at a time and ends when idle.

gfal2 and the libraries below it keep identities per process, cannot be interrupted and can crash (reference: seen with
gfal2 2.21.3), so the service never loads them: a child is started for a credential, killed to cancel, and a renewed
credential gets a new child. Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from . import reasons
from .reasons import Failure

IDLE_SECONDS = 60.0
START_SECONDS = 30.0
_LOG_TAIL = 16384
_PROGRAM = Path(__file__).with_name("transfer.py")
_XROOTD_LIMITS = {
    "XRD_LOGLEVEL": "Error",
    "XRD_CONNECTIONWINDOW": "5",
    "XRD_CONNECTIONRETRY": "1",
    "XRD_STREAMTIMEOUT": "30",
    "XRD_REQUESTTIMEOUT": "60",
}
"""Without them a root door that is down or hangs holds a child for minutes."""


@dataclass(frozen=True)
class Credential:
    """What a child acts as. `version` changes with each renewal; `proxy` None means none at all."""

    name: str
    version: str
    proxy: Path | None = None
    token_files: Mapping[str, Path] = field(default_factory=dict, hash=False, compare=False)
    """Token id -> file with the token, 0600."""


def environment(credential: Credential, *, certificates: Path, home: Path, server_name: str) -> dict[str, str]:
    """The environment of a child, built from nothing (except a faked clock, which must hold for all of a lake)."""
    runtime = home / "runtime"
    made = {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_RUNTIME_DIR": str(runtime),
        "X509_CERT_DIR": str(certificates),
        # A path that does not exist: without the variable the libraries would take whatever lies in /tmp.
        "X509_USER_PROXY": str(credential.proxy or runtime / "no-proxy"),
        "XrdSecGSISRVNAMES": server_name,
        "XrdSecGSIDELEGPROXY": "2",
        **_XROOTD_LIMITS,
    }
    if "libfaketime" in os.environ.get("LD_PRELOAD", ""):
        made |= {name: value for name, value in os.environ.items() if name == "LD_PRELOAD" or name.startswith("FAKETIME")}
    return made


class Worker:
    """One child process. Only one thread calls `run` at a time; any thread may `kill`."""

    def __init__(self, credential: Credential, environ: Mapping[str, str]) -> None:
        self.credential = credential
        self.idle_since = time.monotonic()
        self._errors: IO[bytes] = tempfile.TemporaryFile(dir=environ.get("TMPDIR"))  # noqa: SIM115  # lives as long as the child
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-u", str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=dict(environ),
            start_new_session=True,
        )
        self._input = cast(IO[bytes], self._process.stdin)
        self._output = cast(IO[bytes], self._process.stdout)
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()
        self._number = 0
        self._ready = False

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the child still runs."""
        return self._process.poll() is None

    def run(
        self, request: Mapping[str, Any], *, limit: Callable[[], float], on_event: Callable[[dict[str, Any]], None]
    ) -> dict[str, Any] | Failure:
        """Have the child do one request; its answer, or why there is none.

        `limit` says how many seconds the step that is going on may take in all; it is asked again after each event.
        """
        self._number += 1
        try:
            if not self._ready:
                self._wait_ready()
            self._input.write(json.dumps({"id": self._number, **request}).encode() + b"\n")
            self._input.flush()
        except OSError:
            return self._ended()
        scope, step_started = reasons.TRANSFER, time.monotonic()
        while True:
            allowed = limit()
            try:
                line = self._lines.get(timeout=max(0.05, step_started + allowed - time.monotonic()))
            except queue.Empty:
                if time.monotonic() < step_started + limit():
                    continue
                self.kill()
                return reasons.timed_out(scope, allowed)
            if line is None:
                return self._ended()
            message = json.loads(line)
            if message["id"] != self._number:
                continue
            if "event" in message:
                event = message["event"]
                if event.get("step", scope) != scope:
                    scope, step_started = event["step"], time.monotonic()
                on_event(event)
                continue
            self.idle_since = time.monotonic()
            failed = message.get("failed")
            return Failure(failed["scope"], failed["code"], failed["text"]) if failed else dict(message["done"])

    def errors(self) -> str:
        """What the libraries printed since the last call (for root the only place where the cause stands)."""
        with contextlib.suppress(OSError, ValueError):
            size = os.fstat(self._errors.fileno()).st_size
            text = os.pread(self._errors.fileno(), _LOG_TAIL, max(0, size - _LOG_TAIL)).decode("utf-8", "replace")
            os.ftruncate(self._errors.fileno(), 0)
            return text.strip("\0\n ")
        return ""

    def kill(self) -> None:
        """End the child and whatever it started, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def retire(self) -> None:
        """Let an idle child go: it ends when its input closes."""
        with contextlib.suppress(OSError):
            self._input.close()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self.kill()
        self._errors.close()

    def _read(self) -> None:
        for line in self._output:
            self._lines.put(line)
        self._lines.put(None)

    def _wait_ready(self) -> None:
        try:
            line = self._lines.get(timeout=START_SECONDS)
        except queue.Empty:
            self.kill()
            raise OSError("the transfer process did not start") from None
        if line is None or "ready" not in json.loads(line):
            raise OSError("the transfer process did not start")
        self._ready = True

    def _ended(self) -> Failure:
        code = self._process.wait()
        return reasons.died(-code if code < 0 else None)


class Pool:
    """At most `size` children. `take` gives one for a credential or None when all are busy; `give_back` returns it."""

    def __init__(self, size: int, environ: Callable[[Credential], Mapping[str, str]]) -> None:
        self._size = size
        self._environ = environ
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()

    def take(self, credential: Credential) -> Worker | None:
        """A child that acts as `credential`: the idle one used last (its connections are warm), else a new one."""
        with self._lock:
            for worker in reversed(self._idle):
                if worker.credential == credential and worker.alive:
                    self._idle.remove(worker)
                    self._busy.add(worker)
                    return worker
            if len(self._busy) >= self._size:
                return None
            while len(self._busy) + len(self._idle) >= self._size:
                self._idle.pop(0).retire()
            worker = Worker(credential, self._environ(credential))
            self._busy.add(worker)
            return worker

    def give_back(self, worker: Worker) -> None:
        """Keep a child for the next request, unless it has ended."""
        with self._lock:
            self._busy.discard(worker)
            if worker.alive:
                self._idle.append(worker)

    def tidy(self, *, idle_seconds: float = IDLE_SECONDS, current: Callable[[Credential], bool] = lambda credential: True) -> None:
        """Let go of children that were idle too long, ended, or hold a credential that has been renewed."""
        now = time.monotonic()
        with self._lock:
            for worker in list(self._idle):
                if not worker.alive or now - worker.idle_since > idle_seconds or not current(worker.credential):
                    self._idle.remove(worker)
                    worker.retire()

    @property
    def running(self) -> int:
        """How many children there are."""
        with self._lock:
            return len(self._busy) + len(self._idle)

    def close(self) -> None:
        """Kill all children."""
        with self._lock:
            for worker in [*self._idle, *self._busy]:
                worker.kill()
            self._idle.clear()
            self._busy.clear()
