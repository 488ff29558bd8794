"""The command line as a process: formats, exit codes, talk on stderr, against a Rucio made by hand."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract import fake_rucio
from tests.contract.fake_rucio import FakeRucio

CHECKOUT = Path(__file__).parents[2]


def _heed_interrupts() -> None:
    """A suite that runs in the background of a shell inherits an ignored SIGINT; a person's command does not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)



class Shell:
    """Runs qostui with an environment built from nothing."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {
            "PATH": "/usr/bin:/bin", "HOME": str(home), "XDG_CONFIG_HOME": str(home / "config"), "XDG_STATE_HOME": str(home / "state"),
            "PYTHONPATH": str(CHECKOUT), "LANG": "C.UTF-8",
        }  # fmt: skip

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "qostui", *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command,
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            text=True,
            cwd=self.home,
            preexec_fn=_heed_interrupts,  # the test process has no threads that hold locks here
        )

    def run(self, *arguments: str, **env: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **env)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def configure(self, text: str) -> None:
        directory = self.home / "config" / "qostui"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "config.toml").write_text(text)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def fake(shell: Shell) -> Iterator[FakeRucio]:
    password = shell.home / "password"
    password.write_text("s3cret\n")
    password.chmod(0o600)
    with fake_rucio.running() as server:
        server.rows = {
            "rses": [fake_rucio.rse_json("A"), fake_rucio.rse_json("B")],
            "rules": [
                fake_rucio.rule_json("1" * 32, "STUCK", error="no space\x1b[31m\ton, it", locks_stuck_cnt=2),
                fake_rucio.rule_json("2" * 32),
                fake_rucio.rule_json("3" * 32, "OK"),
            ],
            "metrics": [{"src_rse": "A", "dst_rse": "B", "distance": 1, "files": {"queued-total": 2}, "bytes": {"queued-total": 5}}],
            "requests": [fake_rucio.request_json("9" * 32)],
        }
        shell.configure(
            f'[profiles.ops]\nrucio_host = "{server.address}"\naccount = "ops"\nauth = "userpass"\npassword_file = "{password}"\n'
        )
        yield server


def test_version_and_help_need_nothing(shell: Shell) -> None:
    code, out, err = shell.run("--version")
    assert (code, err) == (0, "")
    assert out.startswith("qostui ")
    for arguments in (["--help"], ["rules", "--help"], ["profile", "--help"]):
        code, out, err = shell.run(*arguments)
        assert (code, err) == (0, "")
        assert "usage: qostui" in out
    assert list(shell.home.iterdir()) == []


def test_without_configuration_there_is_a_hint(shell: Shell) -> None:
    for arguments in (["rules"], ["--once"], []):
        code, out, err = shell.run(*arguments)
        assert (code, out) == (2, "")
        assert "make demo" in err


def test_wrong_arguments_are_2(shell: Shell, fake: FakeRucio) -> None:
    for arguments in (
        ["nonsense"],
        ["rules", "--colour"],
        ["rules", "--sort", "colour"],
        ["rules", "--filter", "stat:x"],
        ["--profile", "opz", "rules"],
    ):
        code, out, err = shell.run(*arguments)
        assert (code, out) == (2, ""), arguments
        assert err.startswith("qostui: ")
        assert "Traceback" not in err


def test_a_broken_configuration_names_line_and_key(shell: Shell) -> None:
    shell.configure('teme = "x"\n')
    for arguments in (["rules"], ["config", "check"], ["--once"]):
        code, _, err = shell.run(*arguments)
        assert code == 2
        assert "config.toml:1: unknown key 'teme'" in err
        assert "did you mean theme?" in err


def test_the_formats(shell: Shell, fake: FakeRucio) -> None:
    code, out, err = shell.run("rules", "-o", "jsonl")
    assert (code, err) == (0, "")
    first = json.loads(out.splitlines()[0])
    assert first.items() >= {"state": "STUCK", "error": "no space\x1b[31m\ton, it", "locks_stuck_cnt": 2, "account": "fair"}.items()
    _, out, _ = shell.run("rses", "-o", "json")
    assert [row["rse"] for row in json.loads(out)] == ["A", "B"]
    assert {"rse", "qos", "availability", "free", "used", "doors"} <= json.loads(out)[0].keys()
    _, out, _ = shell.run("rules", "-o", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert rows[0]["error"] == "no space\\x1b[31m\\ton, it"
    assert [row["state"] for row in rows] == ["STUCK", "REPLICATING", "OK"]
    _, out, _ = shell.run("rules")
    lines = [line.split("\t") for line in out.splitlines()]
    assert {len(line) for line in lines} == {len(lines[0])}
    assert lines[0][:2] == ["id", "scope"]
    _, out, _ = shell.run("rules", "-o", "table", "--filter", "state:stuck", COLUMNS="120")
    assert out.splitlines()[0].startswith("DID")
    assert len(out.splitlines()) == 2
    assert "\x1b" not in out


def test_sort_limit_and_filter(shell: Shell, fake: FakeRucio) -> None:
    _, out, _ = shell.run("rules", "-o", "jsonl", "--sort", "-did", "--limit", "2")
    assert [json.loads(line)["id"][0] for line in out.splitlines()] == ["3", "2"]
    _, out, _ = shell.run("rules", "-o", "jsonl", "--filter", "!state:stuck,ok")
    assert [json.loads(line)["state"] for line in out.splitlines()] == ["REPLICATING"]


def test_without_a_terminal_all_panes_are_printed(shell: Shell, fake: FakeRucio) -> None:
    code, out, err = shell.run()
    assert (code, err) == (0, "")
    for title in ("RSEs 2", "Rules 3", "Transfers 2", "Credentials 2"):
        assert f"\n{title}  " in out
    assert "s3cret" not in out
    assert fake_rucio.TOKEN not in out


def test_one_failing_pane_does_not_stop_the_others(shell: Shell, fake: FakeRucio) -> None:
    fake.answers["/requests/"] = fake_rucio.fails(500, b"AccessDenied: no")
    code, out, _ = shell.run("--once")
    assert code == 1
    assert "✖ not allowed" in out
    assert "\nCredentials 2" in out


def test_exit_codes(shell: Shell, fake: FakeRucio) -> None:
    fake.answers["/rules/"] = fake_rucio.cut_after(4)
    code, out, err = shell.run("rules", "-o", "jsonl")
    assert code == 3
    assert len(out.splitlines()) == 4
    assert "broke off" in err
    fake.answers["/rules/"] = fake_rucio.fails(500)
    assert shell.run("rules")[0] == 1
    fake.answers.clear()
    for file in (shell.home / "state").rglob("token-*"):
        file.unlink()
    fake.refused_logins = -1
    code, out, err = shell.run("rules")
    assert (code, out) == (4, "")
    assert "refuses the log-in" in err
    assert "s3cret" not in err
    shell.configure((shell.home / "config/qostui/config.toml").read_text().replace(str(fake.port), "9"))
    code, out, err = shell.run("rules")
    assert (code, out) == (3, "")
    assert "127.0.0.1:9: connection refused" in err


def test_a_reader_that_leaves_is_no_error(shell: Shell, fake: FakeRucio) -> None:
    fake.rows["rules"] = [fake_rucio.rule_json(f"{number:032x}") for number in range(3000)]
    process = shell.start("rules", "-o", "jsonl")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(20) == 0


def test_an_interrupt_is_130_at_once(shell: Shell, fake: FakeRucio) -> None:
    fake.answers["/rules/"] = fake_rucio.hangs(30)
    process = shell.start("rules")
    end = time.monotonic() + 20
    while "/rules/" not in fake.paths() and time.monotonic() < end:
        time.sleep(0.05)
    began = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert err == ""
    assert time.monotonic() - began < 3


def test_its_memory_is_private_while_it_holds_secrets(shell: Shell, fake: FakeRucio) -> None:
    fake.answers["/rules/"] = fake_rucio.hangs(30)
    process = shell.start("rules")
    end = time.monotonic() + 20
    while "/rules/" not in fake.paths() and time.monotonic() < end:
        time.sleep(0.05)
    limits = Path(f"/proc/{process.pid}/limits").read_text()
    (core,) = [line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core file size")]
    # A process that is not dumpable has its /proc entries owned by root, readable by nobody else.
    mode = os.stat(f"/proc/{process.pid}/environ").st_mode & 0o077
    process.kill()
    process.communicate()
    assert core == ["0", "0"]
    assert mode == 0


def test_profiles_and_config(shell: Shell, fake: FakeRucio) -> None:
    code, out, _ = shell.run("profile", "list", "-o", "json")
    assert code == 0
    (profile,) = json.loads(out)
    assert profile.items() >= {"profile": "ops", "account": "ops", "auth": "userpass"}.items()
    code, out, _ = shell.run("config", "check")
    assert code == 0
    assert "ok, 1 profile" in out
    assert shell.run("config", "path")[1].strip() == str(shell.home / "config/qostui/config.toml")


def test_config_check_names_what_is_wrong_with_the_keymap(shell: Shell, fake: FakeRucio) -> None:
    file = shell.home / "config/qostui/keys.toml"
    file.write_text('"pane.refrsh" = "f5"\n"pane.copy" = "s"\n')
    code, out, err = shell.run("config", "check")
    assert (code, out) == (2, "")
    assert f"{file}:1: no binding is called 'pane.refrsh'; did you mean pane.refresh?" in err
    assert f"{file}:2: pane.copy: s already means table.sort in a table" in err
    assert shell.run("profile", "list")[0] == 0, "nothing else minds"
    assert "--ssh, --no-ssh" in shell.run("--help")[1]


def test_the_environment_makes_a_profile(shell: Shell, fake: FakeRucio) -> None:
    token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9."
    fake.good_tokens = {token}
    (shell.home / "config/qostui/config.toml").unlink()
    env = {"RUCIO_HOST": fake.address, "RUCIO_ACCOUNT": "alice", "RUCIO_AUTH_TYPE": "oidc", "BEARER_TOKEN": token}
    code, out, err = shell.run("creds", "-o", "json", **env)
    assert (code, err) == (0, "")
    rows = {row["kind"]: row for row in json.loads(out)}
    assert rows["Access token"]["source"] == "$BEARER_TOKEN"
    assert token not in out
