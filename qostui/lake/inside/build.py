"""The steps that install, prepare and reset a lake, run as its service user in its own environment.

image    from nothing to a seeded lake, kept in `image/`
reset    `live/` becomes a copy of `image/`
prepare  before each `up`: renew what ends soon, write all configuration, follow new ports
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from . import keycache, oidc, pki, proxies, relocate, rucio_config, rucio_database, storages, topology
from .state import Facts, State

_TOKEN_LIFETIME = 12 * 3600
"""Seconds a prepared token file lasts; like the proxies it is made anew at each `up`."""
_SCOPES = {
    "alice": "openid profile wlcg wlcg.groups storage.read:/ storage.create:/ storage.modify:/ storage.stage:/",
    "bob": "openid profile wlcg wlcg.groups storage.read:/",
}
_PARTS = ("etc", "pki", "rucio", "oidc", "fts", "data", "client", "log", "run")


def image(state: State, *, empty: bool = False) -> None:
    """Build and seed a lake and keep it as the image; what was there before goes."""
    facts = state.read()
    for place in (state.live, state.image):
        _empty(place)
    for part in _PARTS:
        (state.live / part).mkdir(mode=0o700)
    _say("certificates")
    pki.create(state, facts, datetime.now(UTC))
    _configure(state, facts)
    _say("catalogue")
    rucio_database.create(state)
    relocate.note(state, facts)
    from . import seed

    _say("services")
    supervisor = start_supervisor(state)
    try:
        _await_services(state, supervisor)
        seed.fill(state, facts, _say, empty=empty)
    finally:
        supervisor.send_signal(signal.SIGTERM)
        supervisor.wait(30)
    _say("image")
    clear(state, facts)
    _empty(state.log)
    _copy(state.live, state.image)


def reset(state: State) -> None:
    """Make `live/` a copy of the image; nothing of the lake may run."""
    _empty(state.live)
    _copy(state.image, state.live)


def prepare(state: State) -> None:
    """Make a lake ready to start: certificates, proxies, tokens, configuration, ports."""
    facts = state.read()
    for part in _PARTS:
        (state.live / part).mkdir(mode=0o700, exist_ok=True)
    for renewed in pki.renew(state, facts, datetime.now(UTC)):
        _say(f"renewed {renewed}")
    _configure(state, facts)
    if relocate.rewrite(state, facts):
        _say("moved to new ports or a new place")


def clear(state: State, facts: Facts) -> None:
    """Remove what a stopped lake leaves in `run/` and outside its state."""
    for path in storages.leftovers(state, facts):
        path.unlink(missing_ok=True) if not path.is_dir() else shutil.rmtree(path, ignore_errors=True)
    _empty(state.run)


def start_supervisor(state: State) -> subprocess.Popen[bytes]:
    """Start the supervisor as a child that goes on when this process ends."""
    with (state.log / "supervisor.log").open("ab") as log:
        return subprocess.Popen(
            [str(state.python), "-P", "-m", "inside.supervisor", "--state", str(state.root)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=state.run,
        )


def _configure(state: State, facts: Facts) -> None:
    now = datetime.now(UTC)
    proxies.renew(state, facts, now)
    oidc.prepare(state, facts)
    storages.configure(state, facts)
    keycache.seed(state, facts)
    rucio_config.configure(state, facts)
    for person, scope in _SCOPES.items():
        audience = f"{topology.RUCIO_AUDIENCE} {topology.WLCG_ANY_AUDIENCE}"
        token = oidc.mint(state, facts, person, audience, scope, _TOKEN_LIFETIME)
        rucio_config.write_private(state.token_file(person), token + "\n")


def _await_services(state: State, supervisor: subprocess.Popen[bytes]) -> None:
    """Wait until all run; raises RuntimeError with the names of those that do not."""
    import json

    deadline = time.monotonic() + 90
    states: dict[str, str] = {}
    while time.monotonic() < deadline:
        if supervisor.poll() is not None:
            raise RuntimeError(f"the supervisor ended with {supervisor.returncode}: see {state.log / 'supervisor.log'}")
        if state.services_file.exists():
            states = {each["name"]: each["state"] for each in json.loads(state.services_file.read_text())["services"]}
            if states and "starting" not in states.values():
                break
        time.sleep(0.1)
    bad = sorted(name for name, value in states.items() if value != "running")
    if bad or not states:
        raise RuntimeError(f"not running: {', '.join(bad) or 'nothing'}: see {state.log}")


def _empty(directory: Path) -> None:
    """Remove what is in a directory, not the directory: it belongs to whoever installed."""
    directory.mkdir(exist_ok=True)
    for entry in directory.iterdir():
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["/bin/cp", "-a", "--reflink=auto", f"{source}/.", f"{target}/"], check=True)


def _say(text: str) -> None:
    print(text, flush=True)


def main(argv: list[str] | None = None) -> int:
    """Carry out one step on one state directory."""
    parser = argparse.ArgumentParser(prog="inside.build")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("step", choices=("image", "image-empty", "reset", "prepare", "clear"))
    arguments = parser.parse_args(argv)
    os.umask(0o077)
    state = State(arguments.state)
    try:
        if arguments.step == "clear":
            clear(state, state.read())
        elif arguments.step.startswith("image"):
            image(state, empty=arguments.step == "image-empty")
        else:
            {"reset": reset, "prepare": prepare}[arguments.step](state)
    except RuntimeError as error:
        _say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
