"""The headless twin on the real lake: every pane as data, and the exit codes that scripts rely on."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from qostui.lake.inside import topology
from tests import lakes


@pytest.fixture(scope="module")
def environment(lake: lakes.Lake, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What `make demo` sets: a configuration of the lake's own."""
    place = tmp_path_factory.mktemp("headless")
    file = place / "config.toml"
    lake.command("profiles", "--file", str(file))
    places = {name: str(place / name) for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")}
    for path in places.values():
        Path(path).mkdir(mode=0o700)
    return {"PATH": os.environ["PATH"], "HOME": str(place), "QOSTUI_CONFIG": str(file), "LANG": "C.UTF-8", **places}


def qostui(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*lakes.QOSTUI, *arguments], env=environment, capture_output=True, text=True, timeout=90, check=False)


def objects(environment: dict[str, str], *arguments: str) -> list[dict[str, Any]]:
    done = qostui(environment, *arguments)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = (
        [json.loads(line) for line in done.stdout.splitlines()] if "jsonl" in arguments else json.loads(done.stdout)
    )
    return found


def test_rses(environment: dict[str, str]) -> None:
    rows = {row["rse"]: row for row in objects(environment, "rses", "-o", "json")}
    assert set(rows) == {rse.name for rse in topology.RSES}
    for rse in topology.RSES:
        row = rows[rse.name]
        assert row["qos"] == rse.qos
        assert {"availability", "free", "used", "doors"} <= set(row)
        assert isinstance(row["free"], int)
        assert row["free"] > 0
        assert {door["scheme"] for door in row["doors"]} == {scheme for scheme, _ in rse.doors}


def test_rses_by_expression(environment: dict[str, str]) -> None:
    assert {row["rse"] for row in objects(environment, "rses", "QOS=SAFE", "-o", "json")} == {"SARA-TAPE", "IN2P3-QOS-SAFE"}


def test_rules_in_every_state_and_a_stuck_one_says_why(environment: dict[str, str]) -> None:
    def stuck(rows: list[dict[str, Any]]) -> dict[str, str]:
        return {f"{row['scope']}:{row['name']}": row["error"] for row in rows if row["state"] == "STUCK"}

    rows = lakes.eventually(
        lambda: objects(environment, "rules", "-o", "jsonl"),
        lambda rows: {"testing:gridftp.parents", "testing:lost.on.disk"} <= set(stuck(rows)),
    )
    assert {"OK", "STUCK", "WAITING_APPROVAL", "SUSPENDED"} <= {row["state"] for row in rows}
    errors = stuck(rows)
    assert "MISMATCH_SCHEME" in errors["testing:gridftp.parents"]
    assert "SOURCE [2]" in errors["testing:lost.on.disk"]


def test_requests_and_credentials(environment: dict[str, str]) -> None:
    assert qostui(environment, "requests", "-o", "json").returncode == 0
    credentials = objects(environment, "--profile", "lake-token", "creds", "-o", "json")
    named = {"kind", "subject", "issuer", "expires_at", "seconds_left", "scopes", "audience", "source", "usable_at"}
    assert all(named <= set(row) for row in credentials)
    token = next(row for row in credentials if row.get("issuer"))
    assert token["usable_at"] == ["whoami"]
    assert token["seconds_left"] > 0
    assert token["subject"] == "alice"
    assert timedelta(0) < datetime.fromisoformat(token["expires_at"]) - datetime.now(UTC) <= timedelta(hours=12)


@pytest.mark.parametrize(("form", "separator"), [("csv", ","), ("tsv", "\t")])
def test_separated_forms_have_a_header_and_all_rows(environment: dict[str, str], form: str, separator: str) -> None:
    rows = list(csv.reader(io.StringIO(qostui(environment, "rses", "-o", form).stdout), delimiter=separator))
    assert rows[0][0] == "rse"
    assert len(rows) == 1 + len(topology.RSES)


def test_without_a_terminal_the_panes_are_printed(environment: dict[str, str]) -> None:
    done = lakes.eventually(lambda: qostui(environment), lambda done: "STUCK" in done.stdout)
    assert done.returncode == 0, done.stderr
    for word in ("GSI-ROOT", "STUCK", "Rucio session"):
        assert word in done.stdout


def test_exit_codes(environment: dict[str, str], lake: lakes.Lake, tmp_path: Path) -> None:
    config = Path(environment["QOSTUI_CONFIG"]).read_text()
    port = str(lake.facts.ports["rucio"])

    def changed(name: str, old: str, new: str) -> dict[str, str]:
        file = tmp_path / f"{name}.toml"
        assert old in config
        file.write_text(config.replace(old, new))
        file.chmod(0o600)
        return {**environment, "QOSTUI_CONFIG": str(file)}

    nobody_there = qostui(changed("down", f"localhost:{port}", "localhost:1"), "rses")
    assert (nobody_there.returncode, "localhost:1" in nobody_there.stderr) == (3, True)
    wrong_ca = qostui(changed("ca", str(lake.state.ca), "/etc/ssl/certs/ca-certificates.crt"), "rses")
    assert wrong_ca.returncode == 4
    assert "certificate" in wrong_ca.stderr
    assert "cannot connect" not in wrong_ca.stderr.lower()
    wrong_word = tmp_path / "wrong"
    wrong_word.write_text("wrong\n")
    wrong_word.chmod(0o600)
    elsewhere = {name: str(tmp_path / name) for name in ("XDG_STATE_HOME", "XDG_RUNTIME_DIR")}  # no session from an earlier run
    for path in elsewhere.values():
        Path(path).mkdir(mode=0o700)
    refused = qostui({**changed("login", str(lake.state.password_file("ops")), str(wrong_word)), **elsewhere}, "rses")
    assert refused.returncode == 4
    unknown_key = qostui(changed("key", "rucio_host", "rucio_hots"), "rses")
    assert unknown_key.returncode == 2
    assert "rucio_host" in unknown_key.stderr
    assert ".toml:" in unknown_key.stderr
    assert qostui(environment, "rses", "-o", "nonsense").returncode == 2
    assert qostui(environment, "--profile", "lake-user", "requests").returncode == 1
