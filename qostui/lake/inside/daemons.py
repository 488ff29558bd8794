"""Rucio's daemons, in few processes forked from one that has imported them all.

Forking shares the imported code: a process costs what it touches (about 20 MB), so what an operator loses one at a
time has a process of its own and the quiet ones share. The parent keeps `run/rucio-daemons.members.json`: name, pid,
state, exit code and log of each daemon.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import gc
import importlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from . import sqlite_writes
from .processes import start_ticks
from .state import State

_PASS = 2
"""Seconds between two passes; below 2 the heartbeat interval of `db_workqueue` would be 0."""

DAEMONS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "judge-evaluator": ("judge.evaluator", {"sleep_time": _PASS}),
    "judge-injector": ("judge.injector", {"sleep_time": _PASS}),
    "judge-repairer": ("judge.repairer", {"sleep_time": _PASS}),
    "judge-cleaner": ("judge.cleaner", {"sleep_time": _PASS}),
    "conveyor-preparer": ("conveyor.preparer", {"sleep_time": _PASS}),
    "conveyor-throttler": ("conveyor.throttler", {"sleep_time": _PASS}),
    "conveyor-submitter": ("conveyor.submitter", {"sleep_time": _PASS, "group_bulk": 20}),
    "conveyor-poller": ("conveyor.poller", {"sleep_time": _PASS, "older_than": 0}),
    "conveyor-finisher": ("conveyor.finisher", {"sleep_time": _PASS}),
    "conveyor-stager": ("conveyor.stager", {"sleep_time": _PASS}),
    "abacus-account": ("abacus.account", {"sleep_time": _PASS}),
    "abacus-rse": ("abacus.rse", {"sleep_time": _PASS}),
    "abacus-collection-replica": ("abacus.collection_replica", {"sleep_time": _PASS}),
    "reaper": ("reaper.reaper", {"sleep_time": _PASS, "greedy": True}),
    "undertaker": ("undertaker.undertaker", {"sleep_time": 10}),
    "necromancer": ("badreplicas.necromancer", {"sleep_time": 5}),
    "minos": ("badreplicas.minos", {"sleep_time": 5}),
    "minos-temporary-expiration": ("badreplicas.minos_temporary_expiration", {"sleep_time": 5}),
    "transmogrifier": ("transmogrifier.transmogrifier", {"sleep_time": 10}),
}
"""Name as Rucio's own executables have it -> (module below rucio.daemons, arguments of its `run`)."""

PROCESSES: Mapping[str, tuple[str, ...]] = {
    "judge": ("judge-evaluator", "judge-injector", "judge-repairer", "judge-cleaner"),
    "conveyor-preparer": ("conveyor-preparer", "conveyor-throttler", "conveyor-stager"),
    "conveyor-submitter": ("conveyor-submitter",),
    "conveyor-poller": ("conveyor-poller",),
    "conveyor-finisher": ("conveyor-finisher",),
    "abacus": ("abacus-account", "abacus-rse", "abacus-collection-replica"),
    "reaper": ("reaper",),
    "replicas": ("undertaker", "necromancer", "minos", "minos-temporary-expiration", "transmogrifier"),
}
"""Process, and its log -> the daemons that run in it; one that ends takes its process down, so that it is seen."""

_PR_SET_PDEATHSIG = 1


def main(argv: list[str] | None = None) -> int:
    """Fork all daemons and watch them until SIGTERM; one that dies stays dead, and is reported, until SIGHUP."""
    parser = argparse.ArgumentParser(prog="inside.daemons")
    parser.add_argument("--state", type=Path, required=True)
    state = State(parser.parse_args(argv).state)
    members_file = state.run / "rucio-daemons.members.json"
    modules = {name: importlib.import_module(f"rucio.daemons.{module}") for name, (module, _) in DAEMONS.items()}
    _warm()
    signals = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    pids: dict[str, int] = {}
    members: dict[str, dict[str, Any]] = {}

    def start(process: str) -> None:
        pid = pids[process] = _fork(process, {name: modules[name] for name in PROCESSES[process]}, state)
        known = {"process": process, "pid": pid, "start_ticks": start_ticks(pid), "state": "running", "exit_code": None}
        members.update({name: {"name": name, **known} for name in PROCESSES[process]})

    for process in PROCESSES:
        start(process)
    _publish(members_file, members)
    print("daemons started", flush=True)
    while (received := signal.sigwait(signals)) not in (signal.SIGTERM, signal.SIGINT):
        if received == signal.SIGHUP:
            for process in PROCESSES.keys() - pids.keys():
                start(process)
        for process, code in _ended(pids):
            for name in PROCESSES[process]:
                members[name].update(state="crashed", exit_code=code)
        _publish(members_file, members)
    for pid in pids.values():
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 4
    while pids and time.monotonic() < deadline:
        _ended(pids)
        time.sleep(0.05)
    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)
    members_file.unlink(missing_ok=True)
    return 0


def _warm() -> None:
    """Load before the fork what each daemon would load after it: shared once instead of held by each."""
    import flask  # noqa: F401  # rucio.common.logging imports it at its first set-up
    from rucio.common.logging import setup_logging
    from sqlalchemy.orm import configure_mappers

    setup_logging(process_name="rucio-daemons")
    configure_mappers()
    sqlite_writes.take_locks_early()
    gc.collect()
    gc.freeze()  # keeps the collector from touching, and so copying, the pages all processes share


def _fork(process: str, modules: Mapping[str, ModuleType], state: State) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() == parent:
            log = os.open(state.log_file(process), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(log, 1)
            os.dup2(log, 2)
            Path("/proc/self/comm").write_text(process[:15])
            code = _work(modules)
    finally:
        os._exit(code)


def _work(modules: Mapping[str, ModuleType]) -> int:
    """Run daemons until SIGTERM; 0 after an orderly stop, 1 as soon as one of them ends by itself."""
    if "conveyor-poller" in modules:
        _poll_often()
    over = threading.Event()
    ended: list[str] = []
    for name, module in modules.items():
        threading.Thread(target=_run, args=(name, module, over, ended), name=name, daemon=True).start()
    while not over.is_set():
        if signal.sigtimedwait({signal.SIGTERM, signal.SIGINT}, 1.0) is not None:
            break
    for module in modules.values():
        (getattr(module, "GRACEFUL_STOP", None) or module.graceful_stop).set()
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(3.0)
    for name in ended:
        print(f"{name} ended by itself", flush=True)
    return 1 if ended else 0


def _run(name: str, module: ModuleType, over: threading.Event, ended: list[str]) -> None:
    """One daemon in this thread. Some `run` return while the threads they started go on: those count."""
    stop: threading.Event = getattr(module, "GRACEFUL_STOP", None) or module.graceful_stop
    before = set(threading.enumerate())
    try:
        module.run(once=False, **DAEMONS[name][1])
        for thread in set(threading.enumerate()) - before:
            thread.join()
    except BaseException:
        import traceback

        traceback.print_exc()
    if not stop.is_set():
        ended.append(name)
        over.set()


def _poll_often() -> None:
    """Let the poller ask FTS again after two passes instead of after ten minutes.

    Rucio looks at a submitted transfer again after `processed_at_delay` = 600 s (core/request.py), since at a site
    FTS tells by message; the lake has no broker, and no setting changes the figure.
    """
    from rucio.core import request

    request.get_and_mark_next = functools.partial(request.get_and_mark_next, processed_at_delay=_PASS)


def _ended(pids: dict[str, int]) -> list[tuple[str, int]]:
    """Collect ended children; removes them from `pids`."""
    found = []
    for name, pid in list(pids.items()):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            found.append((name, os.waitstatus_to_exitcode(status)))
            del pids[name]
    return found


def _publish(path: Path, members: Mapping[str, Mapping[str, Any]]) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(list(members.values())))
    temporary.replace(path)


if __name__ == "__main__":
    sys.exit(main())
