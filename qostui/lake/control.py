"""Brings an installed lake up and down and tells what runs; services are known by pid and start time."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import ports
from .inside import topology
from .inside.processes import faked_clock, session_members, start_ticks
from .inside.state import Facts, State

Say = Callable[[str], None]
_UP_LIMIT = 90.0
_DOWN_LIMIT = 15.0
_RESTART_LIMIT = 5.0
_TAIL_LINES = 15


class LakeError(Exception):
    """The lake cannot do what was asked; the text says why and what to do."""


@dataclass(frozen=True)
class ServiceStatus:
    """One service as `lake status` shows it."""

    name: str
    state: str
    """`running`, `starting`, `crashed`, `not answering` or `stopped`."""
    pid: int | None
    address: str
    rss: int
    """Resident bytes of the service and its children; daemons that share a process count with the first of them."""
    pss: int
    """Proportional set size of the same, in bytes: what shared pages are divided by their sharers."""
    exit_code: int | None = None
    log_tail: tuple[str, ...] = ()
    """Last lines of its log where it is not running."""


def up(state: State, say: Say, *, new_ports: bool = False) -> bool:
    """Start the lake and wait until every service answers; False when it ran already. Raises LakeError."""
    facts = _installed(state)
    running = supervisor_pid(state)
    if running is not None:
        if all(each.state == "running" for each in status(state)):
            return False
        os.kill(running, signal.SIGHUP)
        deadline = time.monotonic() + _RESTART_LIMIT
        while time.monotonic() < deadline and any(each.state == "crashed" for each in status(state)):
            time.sleep(0.1)
    else:
        if new_ports:
            ports.choose(facts)
            state.write(facts)
        elif taken := ports.taken(facts):
            lines = "; ".join(f"{name}: {who}" for name, who in sorted(taken.items()))
            raise LakeError(f"{lines}. Stop it, or move the lake with: qostui lake up --new-ports")
        run_step(state, "clear", say)
        run_step(state, "prepare", say)
        _start_supervisor(state, facts)
    return _await_all(state)


def down(state: State, say: Say) -> bool:
    """Stop the lake and leave nothing of it behind; False when it did not run."""
    _installed(state)
    pid = supervisor_pid(state)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _DOWN_LIMIT
        while supervisor_pid(state) is not None:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)  # its children die with it (PR_SET_PDEATHSIG)
                time.sleep(0.5)
                break
            time.sleep(0.05)
    run_step(state, "clear", say)
    return pid is not None


def reset(state: State, say: Say) -> None:
    """Put the lake back to its seed image; raises LakeError while it runs."""
    _installed(state)
    if supervisor_pid(state) is not None:
        raise LakeError("the lake is running: bring it down first (qostui lake down)")
    run_step(state, "reset", say)


def status(state: State) -> list[ServiceStatus]:
    """Every service, the Rucio daemons one by one; all `stopped` when no supervisor runs."""
    _installed(state)
    alive = supervisor_pid(state) is not None
    known = _read_json(state.services_file)
    if not alive or known is None:
        return [ServiceStatus(name, "stopped", None, "", 0, 0) for name in _expected(state)]
    found = []
    for each in known["services"]:
        running = each["start_ticks"] == start_ticks(each["pid"])
        members = (_read_json(state.run / f"{each['name']}.members.json") or []) if each["members"] else []
        condition = each["state"] if running or each["state"] == "crashed" else "crashed"
        rss, pss = _memory([each["pid"]] if members else session_members(each["pid"])) if running else (0, 0)
        found.append(_status(state, each["name"], each["name"], condition, each["pid"], each["address"], rss, pss, each["exit_code"]))
        counted: set[int] = set()
        for member in members:
            alive = member["state"] == "running" and member["start_ticks"] == start_ticks(member["pid"])
            rss, pss = _memory([member["pid"]]) if alive and member["pid"] not in counted else (0, 0)
            counted.add(member["pid"])
            condition = "running" if alive else "crashed"
            found.append(_status(state, member["name"], member["process"], condition, member["pid"], "", rss, pss, member["exit_code"]))
    return found


def _status(
    state: State, name: str, log: str, condition: str, pid: int, address: str, rss: int, pss: int, code: int | None
) -> ServiceStatus:
    tail = () if condition == "running" else _tail(state.log_file(log))
    return ServiceStatus(name, condition, pid if condition != "crashed" else None, address, rss, pss, code, tail)


def run_step(state: State, step: str, say: Say) -> None:
    """Run one step of `inside.build` as the service user; raises LakeError with the end of its output."""
    facts = state.read()
    process = subprocess.Popen(
        [str(state.python), "-P", "-m", "inside.build", "--state", str(state.root), step],
        env=_environment(state),
        cwd=state.root,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **_as_service(facts),
    )
    lines = []
    for line in process.stdout or ():
        lines.append(line.rstrip())
        say(f"  {line.rstrip()}")
    if process.wait() != 0:
        raise LakeError(f"{step} failed: " + "\n".join(lines[-25:]))


def supervisor_pid(state: State) -> int | None:
    """Pid of this lake's running supervisor, known by pid and start time; None when it does not run."""
    known = _read_json(state.services_file)
    if known is None:
        return None
    pid: int = known["supervisor"]["pid"]
    return pid if known["supervisor"]["start_ticks"] == start_ticks(pid) else None


def _installed(state: State) -> Facts:
    try:
        facts = state.read()
    except FileNotFoundError:
        raise LakeError(f"there is no lake in {state.root}: install it with: qostui lake install") from None
    if not facts.fingerprint:
        raise LakeError(f"the lake in {state.root} is not fully installed: run qostui lake install again")
    return facts


def _start_supervisor(state: State, facts: Facts) -> None:
    log = state.log / "supervisor.log"
    environment = _environment(state)
    with open(os.devnull, "rb") as nothing:
        subprocess.Popen(
            [
                "/bin/sh",
                "-c",
                'exec "$@" >>"$0" 2>&1',
                str(log),
                str(state.python),
                "-P",
                "-m",
                "inside.supervisor",
                "--state",
                str(state.root),
            ],
            env=environment,
            cwd=state.root,
            stdin=nothing,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **_as_service(facts),
        )


def _await_all(state: State) -> bool:
    deadline = time.monotonic() + _UP_LIMIT
    while time.monotonic() < deadline:
        if supervisor_pid(state) is not None:
            states = status(state)
            if states and not any(each.state == "starting" for each in states):
                bad = [each for each in states if each.state != "running"]
                if bad:
                    raise LakeError("\n".join(f"{each.name}: {each.state}\n  " + "\n  ".join(each.log_tail) for each in bad))
                return True
        time.sleep(0.1)
    raise LakeError(f"the lake did not start in {_UP_LIMIT:.0f} s: see {state.log}")


def _environment(state: State) -> dict[str, str]:
    """An environment from nothing, but for a faked clock, which a whole lake may live under."""
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(state.code),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "HOME": str(state.live),
        "TMPDIR": str(state.run),
        **faked_clock(),
    }


def _as_service(facts: Facts) -> dict[str, Any]:
    """Arguments that make a child run as the service user; none for an ordinary user."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam(facts.user)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _expected(state: State) -> list[str]:
    return [*topology.WEB_SERVICES, *(server.name for server in topology.SERVERS), "rucio-daemons"]


def _memory(pids: list[int]) -> tuple[int, int]:
    """Sum of (RSS, PSS) in bytes; PSS is 0 where this user may not read it."""
    rss = pss = 0
    for pid in pids:
        try:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                name, _, value = line.partition(":")
                if name in ("Rss", "Pss"):
                    size = int(value.split()[0]) * 1024
                    rss, pss = (rss + size, pss) if name == "Rss" else (rss, pss + size)
        except OSError:
            continue
    return rss, pss


def _tail(log: Path) -> tuple[str, ...]:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16384))
            return tuple(file.read().decode("utf-8", "backslashreplace").splitlines()[-_TAIL_LINES:])
    except OSError:
        return ()


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None
