"""Starts the lake's services, watches them, and takes them down: the parent and sub-reaper of all lake processes.

Run as the service user. SIGTERM or SIGINT stops everything; SIGHUP starts again what has died. What it knows is in
`run/services.json`. A service that dies stays dead and says so: an operator is to see it, not a loop to hide it.
Services die with this process (PR_SET_PDEATHSIG), so no lake outlives its supervisor.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import http.client
import json
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import services
from .processes import children, start_ticks
from .services import Service
from .state import LISTEN_FD, Facts, State

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD})
_STOP_GRACE = 6.0
"""Seconds between SIGTERM and SIGKILL when the lake goes down."""
_READY_LIMIT = 60.0
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass
class _Running:
    service: Service
    pid: int
    started: float
    start_ticks: int
    log_offset: int
    state: str = "starting"
    exit_code: int | None = None


class Supervisor:
    """One lake's processes."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._facts: Facts = state.read()
        self._running: dict[str, _Running] = {}
        self._tls = ssl.create_default_context(cafile=str(state.ca))

    def run(self) -> int:
        """Start everything and watch it until told to stop; the exit code is 0 after an orderly stop."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        for service in services.table(self._state, self._facts):
            self._start(service)
        self._publish()
        while True:
            waiting = any(each.state == "starting" for each in self._running.values())
            received = signal.sigtimedwait(_SIGNALS, 0.05 if waiting else 1.0)
            self._reap()
            if received is not None and received.si_signo in (signal.SIGTERM, signal.SIGINT):
                return self._stop()
            if received is not None and received.si_signo == signal.SIGHUP:
                for each in list(self._running.values()):
                    if each.state == "crashed":
                        self._start(each.service)
                    elif each.service.members_file and each.state == "running":
                        os.kill(each.pid, signal.SIGHUP)
                self._publish()
            if any([self._look(each) for each in self._running.values() if each.state == "starting"]):
                self._publish()

    def _start(self, service: Service) -> None:
        log = self._state.log_file(service.name)
        environment = {**services.base_environment(self._state, service.name), **service.env}
        sockets = [self._listen(name, mapped=service.mapped) for name in service.sockets]
        with log.open("ab") as output:
            offset = output.tell()
            pid = _spawn(
                service.argv, environment, str(self._state.home(service.name)), output.fileno(), [each.fileno() for each in sockets]
            )
        for each in sockets:
            each.close()
        self._running[service.name] = _Running(service, pid, time.time(), start_ticks(pid) or 0, offset)

    def _listen(self, port_name: str, *, mapped: bool) -> socket.socket:
        port = self._facts.ports[port_name]
        made = socket.socket(socket.AF_INET6 if mapped else socket.AF_INET)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("::ffff:127.0.0.1" if mapped else "127.0.0.1", port))
        made.listen(128)
        return made

    def _look(self, each: _Running) -> bool:
        """Whether a starting service has just become ready."""
        if not self._answers(each):
            if time.time() - each.started > _READY_LIMIT:
                each.state = "not answering"
                return True
            return False
        each.state = "running"
        return True

    def _answers(self, each: _Running) -> bool:
        kind, _, rest = each.service.ready.partition(":")
        if kind == "log":
            with self._state.log_file(each.service.name).open("rb") as log:
                log.seek(each.log_offset)
                return rest.encode() in log.read()
        try:
            if kind == "tcp":
                with socket.create_connection(("127.0.0.1", self._facts.ports[rest]), 0.3):
                    return True
            name, _, path = rest.partition("/")
            connection = http.client.HTTPSConnection("localhost", self._facts.ports[name], timeout=0.5, context=self._tls)
            with contextlib.closing(connection):
                connection.request("GET", f"/{path}")
                return connection.getresponse().status < 500
        except (OSError, http.client.HTTPException):
            return False

    def _reap(self) -> None:
        """Collect every ended child, our own services and what was orphaned to us alike."""
        changed = False
        ended: dict[int, int] = {}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            ended[pid] = os.waitstatus_to_exitcode(status)
        for each in self._running.values():
            if each.pid in ended and each.state != "crashed":
                each.exit_code = ended[each.pid]
                each.state = "crashed"
                changed = True
        if changed:
            self._publish()

    def _stop(self) -> int:
        """End all services, latest first, by signal and then by force; leaves no child."""
        for each in reversed(list(self._running.values())):
            if each.state != "crashed":
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_GRACE
        while children(os.getpid()) and time.monotonic() < deadline:
            signal.sigtimedwait(_SIGNALS, 0.1)
            self._reap()
        while left := children(os.getpid()):
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            signal.sigtimedwait(_SIGNALS, 0.1)
            self._reap()
        self._state.services_file.unlink(missing_ok=True)
        return 0

    def _publish(self) -> None:
        known: dict[str, Any] = {
            "supervisor": {"pid": os.getpid(), "start_ticks": start_ticks(os.getpid())},
            "services": [
                {
                    "name": each.service.name,
                    "state": each.state,
                    "pid": each.pid,
                    "start_ticks": each.start_ticks,
                    "started": each.started,
                    "address": each.service.address,
                    "exit_code": each.exit_code,
                    "members": each.service.members_file,
                }
                for each in self._running.values()
            ],
        }
        temporary = self._state.services_file.with_suffix(".new")
        temporary.write_text(json.dumps(known, indent=1))
        temporary.replace(self._state.services_file)


def _spawn(argv: Sequence[str], environment: Mapping[str, str], directory: str, log: int, sockets: Sequence[int]) -> int:
    """Fork and exec one service; its pid.

    Written out instead of `subprocess` because sockets have to arrive on fd 3 and on together with LISTEN_PID, the
    pid of the very process that takes them (sd_listen_fds(3)). This process has no threads, so a plain fork is safe.
    """
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.chdir(directory)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        spare = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in sockets]
        for place, fd in enumerate(spare):
            os.dup2(fd, LISTEN_FD + place)
        os.closerange(LISTEN_FD + len(spare), 1024)
        handed = {"LISTEN_FDS": str(len(spare)), "LISTEN_PID": str(os.getpid())} if spare else {}
        os.execve(argv[0], list(argv), {**environment, **handed})
    except OSError as error:
        os.write(2, f"cannot start {argv[0]}: {error}\n".encode())
    finally:
        os._exit(127)


def main(argv: list[str] | None = None) -> int:
    """Run the supervisor of one state directory."""
    parser = argparse.ArgumentParser(prog="inside.supervisor")
    parser.add_argument("--state", type=Path, required=True)
    os.umask(0o077)
    return Supervisor(State(parser.parse_args(argv).state)).run()


if __name__ == "__main__":
    sys.exit(main())
