"""The lake as its users have it: all parts run, on loopback only, two at once, as anybody, after a year and a month."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from qostui.lake.inside import topology
from qostui.lake.inside.processes import start_ticks
from qostui.lake.inside.state import State
from tests import lakes
from tests.integration import sockets

_DAEMONS = {
    "judge-evaluator", "judge-injector", "judge-repairer", "judge-cleaner", "conveyor-preparer", "conveyor-throttler",
    "conveyor-submitter", "conveyor-poller", "conveyor-finisher", "conveyor-stager", "abacus-account", "abacus-rse",
    "abacus-collection-replica", "reaper", "undertaker", "necromancer", "minos", "minos-temporary-expiration", "transmogrifier",
}  # fmt: skip
_PSS_LIMIT = 700e6


@pytest.fixture(scope="module")
def spare() -> Iterator[lakes.Lake]:
    """A second lake, for what may not be done to the one all tests use."""
    with lakes.lake_like(lakes.installed()) as made:
        yield made


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Poll until `condition` gives something true; fails with `what` it waited for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.2)
    raise AssertionError(f"waited {seconds:.0f} s for {what}")


def states(lake: lakes.Lake) -> dict[str, str]:
    return {each["name"]: each["state"] for each in lake.status()}


def test_status_lists_every_service_running(lake: lakes.Lake) -> None:
    done = lake.command("status", "-o", "json")
    services = {each["name"]: each for each in json.loads(done.stdout)}
    assert set(services) == set(topology.WEB_SERVICES) | {server.name for server in topology.SERVERS} | {"rucio-daemons"} | _DAEMONS
    for name, each in services.items():
        assert each["state"] == "running", (name, each)
        assert each["pid"] > 1
        assert set(each) >= {"name", "state", "pid", "address", "rss"}
    assert services["gsi-root"]["address"].split()[0] == f"root://localhost:{lake.facts.ports['gsi-root-root']}"


def test_all_of_it_listens_on_loopback_only(lake: lakes.Lake) -> None:
    supervisor = json.loads(lake.state.services_file.read_text())["supervisor"]["pid"]
    found = sockets.listeners(sockets.descendants(supervisor))
    assert {port for _, _, port in found} >= set(lake.facts.ports.values())
    assert [each for each in found if not sockets.is_loopback(each[1])] == []


def test_a_minute_after_up_all_processes_together_are_small(spare: lakes.Lake) -> None:
    supervisor = json.loads(spare.state.services_file.read_text())["supervisor"]
    age = time.time() - Path(f"/proc/{supervisor['pid']}").stat().st_mtime
    time.sleep(max(0.0, 60 - age))
    total = sum(each["pss"] for each in spare.status())
    print(f"PSS of the lake: {total / 1e6:.0f} MB")
    assert total < _PSS_LIMIT


def test_a_crash_shows_with_the_end_of_its_log_and_up_mends_it(spare: lakes.Lake) -> None:
    services = {each["name"]: each for each in spare.status()}
    os.kill(services["lapp-webdav"]["pid"], signal.SIGKILL)
    os.kill(services["reaper"]["pid"], signal.SIGKILL)
    wait_for(lambda: states(spare)["lapp-webdav"] == "crashed" and states(spare)["reaper"] == "crashed", 10, "the crash to show")
    done = spare.command("status", "-o", "json", check=False)
    crashed = {each["name"]: each for each in json.loads(done.stdout) if each["state"] == "crashed"}
    assert done.returncode == 1
    assert set(crashed) == {"lapp-webdav", "reaper"}
    assert crashed["lapp-webdav"]["exit_code"] == -signal.SIGKILL
    assert any("initialization completed" in line for line in crashed["lapp-webdav"]["log_tail"])
    spare.command("up")
    assert set(states(spare).values()) == {"running"}


def test_a_taken_port_is_named_with_its_holder_and_new_ports_help(spare: lakes.Lake) -> None:
    spare.command("down")
    before = dict(spare.facts.ports)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", before["fts"]))
        holder.listen()
        refused = spare.command("up", check=False)
        assert refused.returncode == 1
        assert f"port {before['fts']} is held by" in refused.stderr
        assert f"(pid {os.getpid()})" in refused.stderr
        spare.command("up", "--new-ports")
    after = spare.facts.ports
    assert not set(before.values()) & set(after.values())
    client = spare.client()
    protocols = client.get_protocols("DESY-DCACHE")
    assert {each["port"] for each in protocols} == {after["desy-dcache-davs"], after["desy-dcache-root"], after["desy-gridftp-gsiftp"]}
    assert client.list_rse_attributes("DESY-DCACHE")["fts"] == f"https://localhost:{after['fts']}"
    (rule,) = client.add_replication_rule([{"scope": "ska", "name": "sdc1"}], 1, "GSI-ROOT", account="ska")
    wait_for(lambda: client.get_replication_rule(rule)["state"] == "OK", 90, "a rule over the new ports")


def test_down_leaves_no_process_and_no_file_outside(spare: lakes.Lake) -> None:
    spare.command("up", check=False)
    supervisor = json.loads(spare.state.services_file.read_text())["supervisor"]["pid"]
    everybody = sockets.descendants(supervisor)
    assert len(everybody) > 20
    spare.command("down")
    assert [pid for pid in everybody if start_ticks(pid) is not None] == []
    assert sockets.speaking_of(str(spare.state.root)) == set()
    outside = [path for place in ("/tmp", "/var/tmp", "/dev/shm", "/run") for path in Path(place).glob(f"*{spare.facts.id}*")]
    assert outside == []
    assert list(spare.state.run.iterdir()) == []


def test_reset_brings_the_seed_back(spare: lakes.Lake) -> None:
    spare.command("down")
    spare.command("up")
    client = spare.client()
    client.add_dataset("testing", "made.by.a.test")
    spare.command("down")
    spare.command("reset")
    spare.command("up")
    assert "made.by.a.test" not in spare.client().list_dids("testing", [{"name": "made*"}], did_type="dataset")


def test_two_lakes_run_at_once(lake: lakes.Lake, spare: lakes.Lake) -> None:
    spare.command("up")
    assert set(states(lake).values()) == set(states(spare).values()) == {"running"}
    assert not set(lake.facts.ports.values()) & set(spare.facts.ports.values())
    assert lake.facts.id != spare.facts.id


def test_an_ordinary_user_has_a_lake_too(lake: lakes.Lake) -> None:
    if os.geteuid() != 0:
        assert service_owners(lake) == {os.geteuid()}
        return
    nobody = pwd.getpwnam("nobody")
    with ordinary_users_place(nobody) as (program, source), lakes.lake_like(source, program=program, owner=nobody.pw_uid) as made:
        assert set(states(made).values()) == {"running"}
        assert service_owners(made) == {nobody.pw_uid}


def test_a_lake_made_400_days_ago_comes_up() -> None:
    past = ("faketime", "-f", "-400d", *lakes.QOSTUI)
    with lakes.lake_like(lakes.installed(), up=False, program=past, options=("--empty",)) as made:
        certificate = str(made.state.user_cert("alice"))
        authority = subprocess.run(["openssl", "x509", "-noout", "-checkend", "0", "-in", certificate], check=False, capture_output=True)
        assert authority.returncode == 1, "alice's certificate should have expired 35 days ago"
        now = lakes.Lake(made.state)
        now.command("up")
        try:
            assert set(states(now).values()) == {"running"}
            assert now.client("ops").whoami()["account"] == "ops"
            url = f"davs://localhost:{now.facts.ports['eulake-davs']}/data/escape/testing/after.a.year"
            shell = {"PATH": "/usr/bin:/bin", **now.environment()}
            done = subprocess.run(["gfal-copy", "-p", "file:///etc/hostname", url], env=shell, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        finally:
            now.command("down")


def service_owners(lake: lakes.Lake) -> set[int]:
    """Who runs the processes of a lake."""
    supervisor = json.loads(lake.state.services_file.read_text())["supervisor"]["pid"]
    return {Path(f"/proc/{pid}").stat().st_uid for pid in sockets.descendants(supervisor)}


@contextmanager
def ordinary_users_place(account: pwd.struct_passwd) -> Iterator[tuple[tuple[str, ...], State]]:
    """What another user needs, where they reach it: this checkout's console and the installed lake's image."""
    place = Path(tempfile.mkdtemp(prefix="qostui-user-", dir="/var/tmp"))
    try:
        checkout, installed = Path(__file__).resolve().parents[2], lakes.installed()
        for part in ("qostui", "locks", "themes"):
            shutil.copytree(checkout / part, place / part, ignore=shutil.ignore_patterns("__pycache__"))
        packages = next(path for path in sys.path if path.endswith("site-packages"))
        shutil.copytree(packages, place / "packages", symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*qostui*"))
        source = State(place / "lake")
        source.root.mkdir()
        for part in ("lake.json", "env", "image"):
            subprocess.run(["/bin/cp", "-a", str(installed.root / part), str(source.root / part)], check=True)
        subprocess.run(["/bin/chown", "-R", f"{account.pw_uid}:{account.pw_gid}", str(place)], check=True)
        program = ("setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups", "env", "-C", str(place),
                   f"PYTHONPATH={place}:{place / 'packages'}", f"HOME={place}", "/usr/bin/python3", "-m", "qostui")  # fmt: skip
        yield program, source
    finally:
        shutil.rmtree(place, ignore_errors=True)
