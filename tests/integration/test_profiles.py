"""`qostui profile check` on the real lake: each identity proven, and what is broken named with its own exit code."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests import lakes

EXPECTED = {"lake-operator": "ops", "lake-proxy": "ops", "lake-token": "alice", "lake-user": "bob"}


class Shell:
    """A person with the lake's profiles."""

    def __init__(self, lake: lakes.Lake, home: Path) -> None:
        self.lake = lake
        self.home = home
        self.file = home / "config.toml"
        lake.command("profiles", "--file", str(self.file))
        places = {name: str(home / name) for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")}
        for path in places.values():
            Path(path).mkdir(mode=0o700)
        self.env = {"PATH": os.environ["PATH"], "HOME": str(home), "QOSTUI_CONFIG": str(self.file), "LANG": "C.UTF-8", **places}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*lakes.QOSTUI, "profile", *arguments], env=self.env, capture_output=True, text=True, timeout=120, check=False
        )

    def checked(self, *names: str) -> tuple[int, dict[str, dict[str, Any]], str]:
        done = self.run("check", *(names or ("--all",)), "-o", "json")
        return done.returncode, {record["profile"]: record for record in json.loads(done.stdout)}, done.stderr

    def edit(self, name: str, *changes: str) -> None:
        done = self.run("edit", name, *changes)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def shell(lake: lakes.Lake, tmp_path: Path) -> Shell:
    return Shell(lake, tmp_path)


def _nobody_listens() -> int:
    """A port of this machine at which nobody is: bound, not listening, and given back."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_every_profile_of_the_lake_is_proven(shell: Shell) -> None:
    code, records, err = shell.checked()
    assert (code, err) == (0, ""), records
    assert {name: record["account_said"] for name, record in records.items() if name in EXPECTED} == EXPECTED
    for record in records.values():
        assert record["ok"] is True
        assert record["elapsed_ms"] > 0
        assert datetime.fromisoformat(record["expires_at"]) > datetime.now(UTC)
    assert {record["auth"] for record in records.values()} >= {"userpass", "x509_proxy", "oidc"}


def test_what_is_broken_is_named_and_the_rest_is_proven_all_the_same(shell: Shell) -> None:
    assert shell.checked()[0] == 0, "sessions of all of them are kept now, and save none of the broken ones"
    wrong = shell.home / "wrong"
    wrong.write_text("wrong\n")
    wrong.chmod(0o600)
    shell.edit("lake-user", f"password_file={wrong}")
    shell.edit("lake-proxy", f"proxy={shell.lake.state.pki / 'expired' / 'alice.pem'}")
    code, records, err = shell.checked()
    assert code == 4
    assert {name for name, record in records.items() if not record["ok"]} == {"lake-user", "lake-proxy"}
    assert "refuses the log-in" in records["lake-user"]["problem"]
    assert "expired" in records["lake-proxy"]["problem"]
    assert records["lake-proxy"]["step"]
    assert "not proven: lake-proxy, lake-user" in err or "not proven: lake-user, lake-proxy" in err
    assert shell.checked("lake-operator", "lake-token")[0] == 0


def test_proxies_that_the_server_refuses_are_the_credentials_fault(shell: Shell) -> None:
    for kind in ("untrusted", "revoked"):
        shell.edit("lake-proxy", f"proxy={shell.lake.state.pki / kind / 'alice.pem'}")
        code, records, _ = shell.checked("lake-proxy")
        assert (code, records["lake-proxy"]["ok"]) == (4, False), records


def test_where_nobody_listens_it_is_the_connection(shell: Shell) -> None:
    nowhere = f"https://localhost:{_nobody_listens()}"
    shell.edit("lake-user", f"rucio_host={nowhere}", f"auth_host={nowhere}")
    code, records, err = shell.checked()
    assert code == 3
    assert [name for name, record in records.items() if not record["ok"]] == ["lake-user"]
    assert "connection refused" in records["lake-user"]["problem"]
    assert "lake-user" in err


def test_a_token_of_another_account_proves_nothing(shell: Shell) -> None:
    shell.edit("lake-token", "account=ops")
    code, records, _ = shell.checked("lake-token")
    assert (code, records["lake-token"]["ok"]) == (4, False)
    assert records["lake-token"]["problem"]


def test_the_rucio_cfg_of_the_lake_becomes_a_profile_that_is_proven(shell: Shell) -> None:
    word = shell.lake.state.password_file("ops").read_text().strip()
    target = shell.home / "secrets" / "ops"
    done = shell.run("add", "mine", "--from", str(shell.lake.state.client / "etc" / "rucio.cfg"), "--password-file", str(target))
    assert done.returncode == 0, done.stderr
    assert target.read_text().strip() == word
    assert word not in shell.file.read_text() + done.stderr + done.stdout + shell.run("show", "mine", "-o", "json").stdout
    code, records, _ = shell.checked("mine")
    assert (code, records["mine"]["account_said"]) == (0, "ops"), records
