"""The VOMS proxy by voms-proxy-init: what it is called with, and that its proxy counts, not its words (a recorded program)."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from qostui.adapters import own_files, own_places, voms, x509
from qostui.adapters.desk import CredentialDesk
from qostui.domain.errors import CredentialProblem, UsageProblem
from qostui.domain.profile import Profile
from tests import certificates
from tests.certificates import Pair, written

MEMBER, OPERATOR = "/escape/Role=NULL/Capability=NULL", "/escape/Role=operator/Capability=NULL"
ALLOWED = {
    "PATH", "HOME", "TERM", "LANG", "X509_USER_CERT", "X509_USER_KEY", "X509_USER_PROXY", "X509_CERT_DIR", "X509_VOMS_DIR",
    "VOMS_USERCONF", "X509_VOMSES",
}  # fmt: skip
RECORDED = """#!/bin/sh
# Says what voms-proxy-init 2.1.0 says, whatever comes of it.
echo "Contacting localhost:15000 [/DC=test/CN=voms] \\"escape\\" Done"
echo "Your proxy is valid until tomorrow"
while [ $# -gt 0 ]; do [ "$1" = -out ] && out=$2; shift; done
{left}
exit {status}
"""


@pytest.fixture(scope="module")
def alice() -> Pair:
    return certificates.issued(certificates.name("alice"), certificates.authority())


@pytest.fixture
def profile(tmp_path: Path, alice: Pair) -> Profile:
    return Profile(
        "p", "https://r", "alice", "x509_proxy", voms="escape",
        certificate=written(tmp_path / "c.pem", alice.pem), key=written(tmp_path / "k.pem", alice.key_pem("phrase")),
        ca_path=tmp_path, voms_dir=tmp_path / "vomsdir", vomses=tmp_path / "vomses",
    )  # fmt: skip


def recorded(place: Path, left: str = "", status: int = 0) -> str:
    """A directory for PATH with the program in it."""
    binaries = place / "bin"
    binaries.mkdir(exist_ok=True)
    program = binaries / voms.PROGRAM
    program.write_text(RECORDED.format(left=left, status=status))
    program.chmod(0o755)
    return f"{binaries}:/usr/bin:/bin"


def ac(*fqans: str, vo: str = "escape", hours: float = 12) -> bytes:
    return certificates.voms_extension(vo, fqans or (MEMBER,), datetime.now(UTC) + timedelta(hours=hours))


def run(profile: Profile, place: Path, content: bytes | None, monkeypatch: pytest.MonkeyPatch, status: int = 0) -> str:
    """The desk's command, run as the console runs it; then what the desk makes of it."""
    left = ""
    if content is not None:
        written(place / "made.pem", content)
        left = f'umask 077; cat "{place / "made.pem"}" > "$out"'
    monkeypatch.setenv("PATH", recorded(place, left, status))
    desk = CredentialDesk(profile, place / "run", place / "state")
    arguments, environment = desk.voms_command()
    done = subprocess.run(list(arguments), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    assert "Your proxy is valid" in done.stdout
    return desk.check_proxy(done.returncode)


def test_the_command_and_its_environment(profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("X509_USER_PROXY", "LD_PRELOAD", "BEARER_TOKEN", "X509_VOMSES"):
        monkeypatch.setenv(name, "/of/somebody/else")
    directory = own_files.directory(profile, tmp_path / "run")
    arguments, environment = voms.command(profile, directory, recorded(tmp_path))
    assert set(environment) == ALLOWED
    assert "/of/somebody/else" not in environment.values()
    pairs = dict(pairwise(arguments))
    assert arguments[0] == str(tmp_path / "bin" / "voms-proxy-init")
    assert (pairs["-voms"], pairs["-cert"], pairs["-key"]) == ("escape", str(profile.certificate), str(profile.key))
    assert (pairs["-out"], pairs["-certdir"], pairs["-bits"]) == (str(directory / voms.NEW), str(tmp_path), "2048")
    assert "-rfc" in arguments


@pytest.mark.parametrize("odd", ["", "-debug", "escape; rm -rf /", "escape:no-slash", "a b", "escape:/x -out /etc/passwd"])
def test_an_odd_vo_is_no_argument(profile: Profile, tmp_path: Path, odd: str) -> None:
    with pytest.raises(UsageProblem):
        voms.command(replace(profile, voms=odd), tmp_path, "/nonexistent")


def test_what_is_missing_is_said_before(profile: Profile, tmp_path: Path) -> None:
    with pytest.raises(CredentialProblem, match="is not installed"):
        voms.command(profile, tmp_path, "/nonexistent")
    with pytest.raises(CredentialProblem, match="certificate and key"):
        voms.command(replace(profile, key=None), tmp_path)
    with pytest.raises(CredentialProblem, match="no such file"):
        voms.command(replace(profile, certificate=tmp_path / "none"), tmp_path)


def test_a_proxy_that_holds_takes_the_old_one_s_place(
    profile: Profile, tmp_path: Path, alice: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = run(profile, tmp_path, certificates.proxy(alice, voms=ac(MEMBER, OPERATOR)), monkeypatch)
    kept = own_places.proxy(profile, tmp_path / "run")
    assert str(kept) in said
    assert "VOMS attributes until" in said
    assert [each.fqans for each in x509.read(kept, "p", secret=True).voms] == [(MEMBER, OPERATOR)]
    assert not (kept.parent / voms.NEW).exists()


def test_a_role_that_was_wanted_has_to_be_there(profile: Profile, tmp_path: Path, alice: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    wanting = replace(profile, voms="escape:/escape/Role=operator")
    with pytest.raises(CredentialProblem, match="without /escape/Role=operator"):
        run(wanting, tmp_path, certificates.proxy(alice, voms=ac(MEMBER)), monkeypatch)
    assert run(wanting, tmp_path, certificates.proxy(alice, voms=ac(OPERATOR, MEMBER)), monkeypatch)


def test_whatever_else_it_leaves_costs_nothing(profile: Profile, tmp_path: Path, alice: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    run(profile, tmp_path, certificates.proxy(alice, voms=ac()), monkeypatch)
    kept = own_places.proxy(profile, tmp_path / "run")
    before = kept.read_bytes()
    good = certificates.proxy(alice, voms=ac())
    hour = timedelta(hours=1)
    cases: list[tuple[bytes | None, int, str]] = [
        (None, 0, "left no proxy"),
        (good, 1, "failed \\(exit status 1\\)"),
        (b"", 0, "no certificate"),
        (b"Your proxy is valid", 0, "no certificate"),
        (good[:600], 0, "no whole certificate"),
        (alice.pem + alice.key_pem(), 0, "no proxy"),
        (certificates.proxy(alice), 0, "without attributes of escape"),
        (certificates.proxy(alice, voms=ac("/other/Role=NULL", vo="other")), 0, "it has those of other"),
        (certificates.proxy(alice, voms=ac(hours=-1)), 0, "have ended"),
        (certificates.proxy(alice, voms=ac(), begins=-3 * hour, ends=-hour), 0, "ended on"),
        (certificates.proxy(alice, voms=b"\x30\x05abc"), 0, "without attributes"),
    ]
    for content, status, says in cases:
        with pytest.raises(CredentialProblem, match=says) as caught:
            run(profile, tmp_path, content, monkeypatch, status)
        assert caught.value.step
        assert kept.read_bytes() == before
        assert not (kept.parent / voms.NEW).exists()


def test_an_earlier_run_s_proxy_is_not_mistaken_for_this_one_s(
    profile: Profile, tmp_path: Path, alice: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = own_files.directory(profile, tmp_path / "run")
    written(directory / voms.NEW, certificates.proxy(alice, voms=ac()))
    with pytest.raises(CredentialProblem, match="left no proxy"):
        run(profile, tmp_path, None, monkeypatch)
    assert os.listdir(directory) == []
