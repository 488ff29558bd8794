"""The Rucio server of the benchmark's lake, alone: no daemon may work on its requests. It dies with the benchmark."""

from __future__ import annotations

import ctypes
import http.client
import os
import pwd
import signal
import socket
import ssl
import time
from collections.abc import Callable
from types import TracebackType

from qostui.lake import control, ports
from qostui.lake.inside import services
from qostui.lake.inside.state import LISTEN_FD, State, url

_READY_LIMIT = 60.0
_STOP_LIMIT = 10.0
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Server:
    """A running Rucio server; as a context manager it is stopped at the end."""

    def __init__(self, state: State, say: Callable[[str], None]) -> None:
        """Start it and wait until it answers; raises control.LakeError."""
        self.state = state
        facts = state.read()
        if (port := facts.ports["rucio"]) and not ports.is_free(port):
            raise control.LakeError(f"port {port} of the benchmark's Rucio is held by {ports.holder(port)}")
        control.run_step(state, "clear", lambda _: None)
        control.run_step(state, "prepare", lambda _: None)
        service = next(each for each in services.table(state, facts) if each.name == "rucio")
        self.address = url(facts, "rucio")
        self.port = facts.ports["rucio"]
        with socket.socket(socket.AF_INET) as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(("127.0.0.1", self.port))
            listening.listen(128)
            account = pwd.getpwnam(facts.user) if os.geteuid() == 0 else None
            self.pid = os.fork()
            if self.pid == 0:
                _become(state, service, account, listening.fileno())
        self._await_answer()
        say(f"Rucio answers (pid {self.pid})")

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """End it and all it left in the run directory."""
        if not self.pid:
            return
        os.kill(self.pid, signal.SIGTERM)
        end = time.monotonic() + _STOP_LIMIT
        while os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                break
            time.sleep(0.05)
        self.pid = 0
        control.run_step(self.state, "clear", lambda _: None)

    def _await_answer(self) -> None:
        trust = ssl.create_default_context(cafile=str(self.state.ca))
        end = time.monotonic() + _READY_LIMIT
        while time.monotonic() < end:
            try:
                connection = http.client.HTTPSConnection("localhost", self.port, timeout=1.0, context=trust)
                connection.request("GET", "/ping")
                if connection.getresponse().status == http.client.OK:
                    return
            except (OSError, http.client.HTTPException):
                time.sleep(0.1)
            finally:
                connection.close()
        self.stop()
        raise control.LakeError(f"the benchmark's Rucio does not answer: see {self.state.log_file('rucio')}")


def _become(state: State, service: services.Service, account: pwd.struct_passwd | None, listening: int) -> None:
    """In the child: turn into the service, unprivileged, with the listening socket on fd 3 (sd_listen_fds(3)); never returns."""
    try:
        os.setsid()
        if account is not None:
            os.setgroups([])
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        os.umask(0o077)
        environment = {**services.base_environment(state, service.name), **service.env}
        os.chdir(state.home(service.name))
        log = os.open(state.log_file(service.name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        spare = os.dup(listening)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.dup2(spare, LISTEN_FD)
        os.closerange(LISTEN_FD + 1, 1024)
        os.execve(service.argv[0], service.argv, {**environment, "LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())})
    finally:
        os._exit(127)
