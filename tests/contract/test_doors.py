"""`qostui doors` against a Rucio made by hand: what is told without asking any door."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qostui import cli
from qostui.commands import doors
from qostui.domain.errors import CredentialProblem, Problem
from qostui.domain.profile import Profile

from .conftest import Server
from .fake_rucio import FakeRucio, fails


def token_file(place: Path, **claims: Any) -> Path:
    said = {"sub": "alice", "iss": "https://iam/", "exp": int(time.time()) + 3600, "wlcg.ver": "1.0"} | claims
    parts = [urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in ({"alg": "ES256"}, said)]
    file = place / "token"
    file.write_text(f"{parts[0]}.{parts[1]}.c2ln\n")
    file.chmod(0o600)
    return file


def told(server: Server, profile: Profile, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    options = cli._parser().parse_args(["doors", *arguments, "-o", "json"])
    assert doors.run(server.settings, profile, options) == 0
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return rows


def test_each_door_and_token_has_an_answer_with_its_reason(fake_server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = token_file(tmp_path, scope="storage.read:/other", aud="https://localhost:1094")
    rows = told(fake_server, replace(fake_server.profile, token_file=file), capsys)
    assert [(row["rse"], row["scheme"], row["offline"], row["reason"]) for row in rows if row["rse"] == "A"] == [
        ("A", "davs", "no", "scope storage.read:/other does not cover /data"),
        ("A", "roots", "no", "scope storage.read:/other does not cover /data"),
        ("A", "xroots", "no", "audience is https://localhost:1094, the door wants https://h:1"),
    ]
    assert {row["rse"] for row in rows} == {"A", "B"}
    assert {row["live"] for row in rows} == {None}
    assert rows[0]["step"] == "get a token with scope storage.read:/data"
    assert rows[0]["url"] == "davs://localhost:1094/data/"


def test_it_filters_sorts_and_limits(fake_server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile = replace(fake_server.profile, token_file=token_file(tmp_path, scope="storage.read:/", aud="https://localhost:1094"))
    rows = told(fake_server, profile, capsys, "--filter", "scheme:davs", "--sort=-rse")
    assert [(row["rse"], row["offline"]) for row in rows] == [("B", "yes"), ("A", "yes")]
    assert len(told(fake_server, profile, capsys, "--limit", "1")) == 1


def test_a_profile_without_anything_for_storage_is_told_so(fake_server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    options = cli._parser().parse_args(["doors"])
    with pytest.raises(CredentialProblem, match="holds nothing that storages take"):
        doors.run(fake_server.settings, fake_server.profile, options)
    assert capsys.readouterr().out == ""


def test_a_rucio_that_fails_is_the_commands_failure(fake: FakeRucio, fake_server: Server, tmp_path: Path) -> None:
    fake.answers["/rses/"] = fails(500)
    profile = replace(fake_server.profile, token_file=token_file(tmp_path))
    with pytest.raises(Problem):
        doors.run(fake_server.settings, profile, cli._parser().parse_args(["doors"]))
