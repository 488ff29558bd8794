"""Rucio 40.4.2, the last that transfers over GridFTP: a lake of its own beside the installed one, kept between runs."""

from __future__ import annotations

import fcntl
import os
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from qostui.lake.inside import topology
from qostui.lake.inside.state import State, url
from tests import lakes
from tests.lakes import Lake

RUCIO = "40.4.2"
SOURCE, DESTINATION = "DESY-DCACHE", "CNAF-GRIDFTP"
PARENTS = ("testing", "gridftp.parents")
"""The dataset that the seed itself sends over GridFTP."""
RULE_LIMIT_S = 240.0
"""A GridFTP session has been seen to take 30 s to start on a busy machine, and a transfer opens several."""

# The first run installs: an environment, and a seed that waits for its rules.
pytestmark = [pytest.mark.rucio40, pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def lake40() -> Iterator[Lake]:
    """The kept lake, as it was seeded and up; installed first where it is missing or out of date."""
    root = lakes.INSTALLED.parent / f"lake-{RUCIO}"
    root.mkdir(parents=True, exist_ok=True)
    with _to_itself(root):
        lake = Lake(State(root))
        lake.command("down", check=False)  # what a killed run left, if any
        lake.command("install", "--rucio", RUCIO)
        lake.command("reset")
        try:
            lake.command("up")
            yield lake
        finally:
            lake.command("down")


@contextmanager
def _to_itself(root: Path) -> Iterator[None]:
    """One test run at a time for one kept lake: a second one waits, and a killed one holds nothing."""
    directory = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def test_all_services_run(lake40: Lake) -> None:
    states = {service["name"]: service["state"] for service in lake40.status()}
    assert {*topology.WEB_SERVICES, *(server.name for server in topology.SERVERS), "rucio-daemons", "conveyor-submitter"} <= set(states)
    assert {name: state for name, state in states.items() if state != "running"} == {}


def test_the_server_is_of_the_version_that_was_asked_for(lake40: Lake) -> None:
    assert lake40.client().ping() == {"version": RUCIO}


def test_the_seeded_rule_over_gridftp_ended_ok(lake40: Lake) -> None:
    client = lake40.client()
    rules = {rule["rse_expression"]: rule["state"] for rule in client.list_did_rules(*PARENTS)}
    assert rules == {SOURCE: "OK", DESTINATION: "OK"}
    files = list(client.list_files(*PARENTS))
    assert len(files) == 5
    for file in files:
        _assert_arrived(lake40, client, file)


def test_a_new_rule_over_gridftp_ends_ok(lake40: Lake) -> None:
    client = lake40.client()
    scope, name = "testing", "gridftp.again"
    files = sorted(client.list_files("cbm", "aod.v4"), key=lambda file: str(file["name"]))[:2]
    dids = [{"scope": file["scope"], "name": file["name"]} for file in files]
    assert {rse for replica in client.list_replicas(dids) for rse in replica["rses"]} == {SOURCE}
    assert not (_data(lake40) / "data" / "escape" / "cbm").exists(), "the transfer is to make the parent directories"

    client.add_dataset(scope, name)
    client.attach_dids(scope, name, dids)
    (rule,) = client.add_replication_rule([{"scope": scope, "name": name}], 1, DESTINATION, account="ops", activity="Functional Test")
    assert client.get_replication_rule(rule)["state"] == "REPLICATING"
    _await_ok(client, rule)

    for file in files:
        _assert_arrived(lake40, client, file)


def _await_ok(client: Any, rule: str) -> None:
    """Follow a rule to OK; any state on the way but REPLICATING fails, with what Rucio says of it."""
    deadline = time.monotonic() + RULE_LIMIT_S
    while (seen := client.get_replication_rule(rule))["state"] != "OK":
        assert seen["state"] == "REPLICATING", f"{seen['state']}: {seen['error']}"
        assert time.monotonic() < deadline, f"{seen['locks_ok_cnt']} files arrived, {seen['locks_replicating_cnt']} did not"
        time.sleep(1.0)


def _assert_arrived(lake: Lake, client: Any, file: dict[str, Any]) -> None:
    """The file went from one GridFTP server to the other, and what lies there is what the catalogue says."""
    request = client.list_request_history_by_did(file["name"], DESTINATION, file["scope"])
    assert (request["state"], request["source_rse"], request["dest_rse"]) == ("DONE", SOURCE, DESTINATION)
    ports = lake.facts.ports
    (job,) = [each for each in _job_files(lake, request["external_id"]) if each["dest_surl"] == request["dest_url"]]
    assert job["source_surl"].startswith(f"gsiftp://{topology.HOST}:{ports['desy-gridftp-gsiftp']}/")
    assert job["dest_surl"].startswith(f"gsiftp://{topology.HOST}:{ports['cnaf-gridftp-gsiftp']}/")
    assert (job["file_state"], job["filesize"]) == ("FINISHED", file["bytes"])

    path = Path(urlsplit(request["dest_url"]).path)
    assert path.is_relative_to(_data(lake))
    content = path.read_bytes()
    assert len(content) == file["bytes"] > 0
    assert f"{zlib.adler32(content):08x}" == file["adler32"]
    (replica,) = client.list_replicas([{"scope": file["scope"], "name": file["name"]}], schemes=["gsiftp"], all_states=True)
    assert replica["states"][DESTINATION] == "AVAILABLE"
    assert replica["rses"][DESTINATION] == [request["dest_url"]]


def _job_files(lake: Lake, job: str) -> list[dict[str, Any]]:
    """The files of one job as the FTS stand-in tells them to the one who submitted it."""
    answer = requests.get(
        f"{url(lake.facts, 'fts')}/jobs/{job}/files", cert=str(lake.state.proxy("robot")), verify=str(lake.state.ca), timeout=30
    )
    assert answer.status_code == 200, answer.text
    files: list[dict[str, Any]] = answer.json()
    return files


def _data(lake: Lake) -> Path:
    return lake.state.data(topology.server("cnaf-gridftp"))
