"""Lakes for tests: made from the installed one's image, brought up on ports of their own, taken down and removed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from qostui.lake import places
from qostui.lake.inside.state import State
from tests import canary

QOSTUI = (sys.executable, "-m", "qostui")
T = TypeVar("T")


class Lake:
    """One lake and the commands that a person would run against it."""

    def __init__(self, state: State, program: tuple[str, ...] = QOSTUI) -> None:
        self.state = state
        self._program = program

    @property
    def facts(self) -> Any:
        return self.state.read()

    def command(self, *arguments: str, check: bool = True, **more: Any) -> subprocess.CompletedProcess[str]:
        """`qostui lake ARGUMENTS` for this state."""
        if "reset" in arguments:
            canary.learn(self.state)
        done = subprocess.run(
            [*self._program, "lake", "--state", str(self.state.root), *arguments],
            capture_output=True,
            text=True,
            check=False,
            **more,
        )
        assert not check or done.returncode == 0, f"lake {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def status(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.command("status", "-o", "json", check=False).stdout)
        return found

    def environment(self) -> dict[str, str]:
        """What `eval "$(qostui lake env)"` gives a shell."""
        lines = subprocess.run(
            ["/bin/sh", "-c", f"{self.command('env').stdout}\nenv -0"],
            capture_output=True,
            text=True,
            check=True,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.state.root)},
        ).stdout
        return dict(item.split("=", 1) for item in lines.split("\0") if "=" in item)

    def client(self, account: str = "root", state: State | None = None) -> Any:
        """Rucio's own client, logged in by pass word."""
        from rucio.client import Client

        os.environ["RUCIO_CLIENT_MODE"] = "1"
        url = f"https://localhost:{self.facts.ports['rucio']}"
        return Client(
            rucio_host=url,
            auth_host=url,
            account=account,
            ca_cert=str(self.state.ca),
            auth_type="userpass",
            creds={"username": account, "password": self.state.password_file(account).read_text().strip()},
        )


THERE: list[State] = []
"""The lakes of this run that are not removed yet."""
INSTALLED = places.default_state()
"""Looked up once, before any test moves XDG_STATE_HOME out of the way."""


def installed() -> State:
    """The lake that `make setup` installed; the suite fails where it is missing."""
    state = State(INSTALLED)
    assert state.facts_file.exists(), f"no lake is installed in {state.root}: run make setup"
    return state


@contextmanager
def lake_like(
    source: State,
    *,
    up: bool = True,
    program: tuple[str, ...] = QOSTUI,
    options: tuple[str, ...] = (),
    owner: int | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Lake]:
    """A lake made from the image of `source`, up on its own ports, gone at the end."""
    root = Path(tempfile.mkdtemp(prefix="qostui-lake-", dir="/var/tmp"))
    root.chmod(0o755)
    if owner is not None:
        os.chown(root, owner, -1)
    lake = Lake(State(root), program)
    THERE.append(lake.state)
    try:
        lake.command("install", "--like", str(source.root), "--rucio", source.read().rucio, *options, env=env)
        if up:
            lake.command("up", env=env)
        yield lake
    finally:
        THERE.remove(lake.state)
        try:
            canary.learn(lake.state)
        finally:
            lake.command("down", check=False)
            canary.keep_logs(lake.state)
            shutil.rmtree(root, ignore_errors=True)


def eventually(look: Callable[[], T], holds: Callable[[T], object], *, seconds: float = 60) -> T:
    """What `look` finds once `holds` says so, or at the latest: judge-repairer takes STUCK away for some seconds at each of its tries."""
    end = time.monotonic() + seconds
    while not holds(found := look()) and time.monotonic() < end:
        time.sleep(1)
    return found


def run_flows(name: str, home: Path, *, least: int, seconds: float) -> None:
    """Run `tests/inside/NAME`, unittests for what only the lake's environment has; at least so many of them must have run."""
    flows = Path(__file__).resolve().parent / "inside" / name
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
        "PYTHONPATH": f"{flows.parents[2] / 'qostui' / 'lake'}:{flows.parent}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [str(installed().python), "-P", str(flows)],
        env=environment,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ran = re.search(r"^Ran (\d+) tests", done.stderr, re.MULTILINE)
    assert ran is not None, done.stderr
    assert int(ran[1]) >= least, done.stderr
