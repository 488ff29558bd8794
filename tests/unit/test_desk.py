"""The desk without any server: proxies made and taken, credentials written out and dropped, and whose files are left alone."""

from __future__ import annotations

import base64
import json
import os
import stat
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from qostui.adapters import own_files, own_places, rucio_session, x509
from qostui.adapters.desk import CredentialDesk
from qostui.domain.errors import CredentialProblem, Problem, UsageProblem
from qostui.domain.profile import Profile, Secret
from tests import certificates
from tests.certificates import Pair, written


@pytest.fixture(scope="module")
def ca() -> Pair:
    return certificates.authority()


@pytest.fixture(scope="module")
def alice(ca: Pair) -> Pair:
    return certificates.issued(certificates.name("alice"), ca)


@pytest.fixture
def profile(tmp_path: Path, alice: Pair) -> Profile:
    return Profile(
        "p", "https://rucio.example.org", "alice", "x509_proxy",
        certificate=written(tmp_path / "c.pem", alice.pem, 0o644), key=written(tmp_path / "k.pem", alice.key_pem("phrase")),
    )  # fmt: skip


def desk(profile: Profile, tmp_path: Path, **more: Any) -> CredentialDesk:
    return CredentialDesk(profile, tmp_path / "run", tmp_path / "state", **more)


def test_a_proxy_is_made_where_the_log_in_finds_it(profile: Profile, tmp_path: Path) -> None:
    ended: list[str] = []
    here = desk(profile, tmp_path, ended=lambda: ended.append("ended"))
    assert here.key_is_encrypted()
    assert here.needs_pass_phrase() == ""
    said = here.make_proxy(Secret("phrase"), 12)
    kept = own_places.proxy(profile, tmp_path / "run")
    assert str(kept) in said
    assert "/DC=test/CN=alice" in said
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert rucio_session.credentials(own_places.completed(profile, tmp_path / "run")) == {"client_proxy": str(kept)}
    assert ended == ["ended"]


def test_a_wrong_pass_phrase_leaves_the_old_proxy(profile: Profile, tmp_path: Path) -> None:
    here = desk(profile, tmp_path)
    here.make_proxy(Secret("phrase"), 12)
    kept = own_places.proxy(profile, tmp_path / "run")
    before = kept.read_bytes()
    with pytest.raises(CredentialProblem, match="does not open the key"):
        here.make_proxy(Secret("wrong"), 12)
    assert kept.read_bytes() == before
    assert len(list(kept.parent.glob(".*"))) == 0
    here.make_proxy(Secret("phrase"), 12)
    assert kept.read_bytes() != before


def test_a_log_in_by_an_encrypted_key_is_refused_before_openssl_asks_on_the_terminal(profile: Profile) -> None:
    with pytest.raises(CredentialProblem, match="needs a pass phrase"):
        rucio_session.credentials(replace(profile, auth="x509"))
    with pytest.raises(CredentialProblem, match="needs a pass phrase"):
        own_files.client_certificate(profile, "not asked")


def test_somebody_else_s_file_in_the_proxy_s_place_is_not_replaced(profile: Profile, tmp_path: Path, ca: Pair, alice: Pair) -> None:
    bob = certificates.issued(certificates.name("bob"), ca)
    place = tmp_path / "proxy.pem"
    here = desk(replace(profile, proxy=place), tmp_path)
    for content, says in (
        (certificates.proxy(bob), "a proxy of /DC=test/CN=bob"),
        (alice.pem + alice.key_pem(), "a certificate that is no proxy"),
        (b"my notes", "not replaced"),
    ):
        written(place, content)
        with pytest.raises(CredentialProblem, match=says) as caught:
            here.make_proxy(Secret("phrase"), 12)
        assert caught.value.step
        assert place.read_bytes() == content
    written(place, certificates.proxy(alice, begins=timedelta(hours=-5), ends=timedelta(hours=-1)))
    here.make_proxy(Secret("phrase"), 12)
    assert x509.read(place, "p", secret=True).subject == "/DC=test/CN=alice"


def test_a_place_that_cannot_be_written_says_so(profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = desk(profile, tmp_path)

    def full(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("qostui.adapters.secret_files.os.fsync", full)
    with pytest.raises(CredentialProblem, match="No space left"):
        here.make_proxy(Secret("phrase"), 12)
    assert not own_places.proxy(profile, tmp_path / "run").exists()


def test_a_proxy_is_taken_from_a_file_after_a_look(profile: Profile, tmp_path: Path, ca: Pair, alice: Pair) -> None:
    here = desk(profile, tmp_path)
    other = certificates.issued(certificates.name("other"), ca)
    good = certificates.proxy(alice)
    first, rest = good.split(b"-----BEGIN RSA PRIVATE KEY-----")
    cases = (
        (alice.pem + alice.key_pem(), "no proxy"),
        (first, "without its key"),
        (first + other.key_pem(old=True), "do not belong together"),
        (certificates.proxy(alice, begins=timedelta(hours=-3), ends=timedelta(hours=-1)), "ended on"),
        (certificates.proxy(alice, begins=timedelta(hours=1)), "begins on"),
        (good[:500], "no whole certificate"),
        (b"\x30\x82\x01\x00" + bytes(256), "DER"),
        (good.replace(b"-----BEGIN RSA PRIVATE KEY-----", b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED"), "pass phrase"),
    )
    file = tmp_path / "in.pem"
    for content, says in cases:
        written(file, content)
        with pytest.raises(CredentialProblem, match=says) as caught:
            here.take_file(file)
        assert caught.value.step
    written(file, good, 0o644)
    with pytest.raises(CredentialProblem, match="can be read by others"):
        here.take_file(file)
    file.chmod(0o600)
    here.take_file(file)
    assert own_places.proxy(profile, tmp_path / "run").read_bytes() == good
    assert rest


def token(algorithm: str = "RS256", **claims: Any) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': algorithm})}.{part({'sub': 'alice'} | claims)}.{'' if algorithm == 'none' else 'c2ln'}"


def test_a_token_is_taken_from_a_file_after_a_look(tmp_path: Path) -> None:
    profile = Profile("p", "https://rucio.example.org", "alice", "oidc", issuer="https://op/", client_id="qostui")
    here = desk(profile, tmp_path)
    file = tmp_path / "token"
    for content, says in (
        (token("none"), "not signed"),
        (token("None"), "not signed"),
        (token(exp=1_000_000), "ended on"),
        (token(iss="https://other/"), "not of the profile's issuer"),
        ("two words and more of them", "neither"),
        ("short", "neither"),
        ("ä" * 40, "neither"),
        ("", "neither"),
    ):
        written(file, content.encode())
        with pytest.raises(CredentialProblem, match=says) as caught:
            here.take_file(file)
        assert caught.value.step
    for good in (token(exp=time.time() + 3600, iss="https://op/"), "opaque-" + "x" * 40, token(exp=1e300), token(exp="soon", aud={})):
        written(file, f"{good}\n".encode())
        assert "token kept" in here.take_file(file)
        assert rucio_session.bearer(profile, tmp_path / "run").reveal() == good
    elsewhere = replace(profile, token_file=file)
    with pytest.raises(CredentialProblem, match="never be used"):
        desk(elsewhere, tmp_path).take_file(file)


def test_export_writes_once_and_privately(profile: Profile, tmp_path: Path) -> None:
    here = desk(profile, tmp_path)
    here.make_proxy(Secret("phrase"), 12)
    out = tmp_path / "out.pem"
    before = os.umask(0)
    try:
        said = here.export("2 proxy", out)
    finally:
        os.umask(before)
    assert str(out) in said
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert out.read_bytes() == own_places.proxy(profile, tmp_path / "run").read_bytes()
    with pytest.raises(CredentialProblem, match="exists: it is not overwritten"):
        here.export("2 proxy", out)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "victim")
    with pytest.raises(CredentialProblem):
        here.export("2 proxy ac0", link)
    assert not (tmp_path / "victim").exists()
    here.export("3 certificate", tmp_path / "cert.out")
    assert b"PRIVATE" not in (tmp_path / "cert.out").read_bytes()
    for refused in ("1 session", "5 password"):
        with pytest.raises(CredentialProblem, match="not handed out"):
            here.export(refused, tmp_path / "never")
    with pytest.raises(UsageProblem, match="there is no credential"):
        here.export("9 nonsense", tmp_path / "never")
    with pytest.raises(CredentialProblem):
        here.export("2 proxy", tmp_path / "no" / "such" / "place")
    assert not (tmp_path / "never").exists()


def test_drop_deletes_what_is_ours_and_ends_the_session(profile: Profile, tmp_path: Path) -> None:
    ended: list[str] = []
    completed = own_places.completed(profile, tmp_path / "run")
    box = rucio_session.TokenBox(completed, tmp_path / "run")
    here = desk(profile, tmp_path, box=box, ended=lambda: ended.append("ended"))
    here.make_proxy(Secret("phrase"), 12)
    box.put("session-token", None)
    ended.clear()
    here.drop("2 proxy")
    assert not own_places.proxy(profile, tmp_path / "run").exists()
    assert not box.read()
    assert ended == ["ended"]
    with pytest.raises(CredentialProblem, match="no proxy to delete"):
        here.drop("2 proxy")
    box.put("session-token", None)
    here.drop("1 session")
    assert not box.read()


def test_drop_leaves_files_of_others(profile: Profile, tmp_path: Path, alice: Pair) -> None:
    place = written(tmp_path / "proxy.pem", certificates.proxy(alice))
    here = desk(replace(profile, proxy=place), tmp_path)
    with pytest.raises(CredentialProblem, match="not made by this console") as caught:
        here.drop("2 proxy")
    assert f"rm {place}" in caught.value.step
    here.make_proxy(Secret("phrase"), 12)
    # Ours, until somebody else renews it.
    written(place, certificates.proxy(alice))
    with pytest.raises(CredentialProblem, match="not made by this console"):
        here.drop("2 proxy")
    here.make_proxy(Secret("phrase"), 12)
    here.drop("2 proxy")
    assert not place.exists()
    for other, says in (("3 certificate", "certificate is not the console's"), ("5 password", "pass word is not the console's")):
        with pytest.raises(CredentialProblem, match=says):
            here.drop(other)
    file = written(tmp_path / "token", b"opaque-token-of-some-length\n")
    for profile_, says in (
        (Profile("q", "https://r", "a", "oidc", token_file=file), "is not the console's"),
        (Profile("q", "https://r", "a", "oidc", oidc_agent="lake"), "oidc-agent's"),
        (Profile("q", "https://r", "a", "oidc", token=Secret("t")), "BEARER_TOKEN"),
    ):
        with pytest.raises(CredentialProblem, match=says):
            desk(profile_, tmp_path).drop("4 token")
    assert file.exists()


def test_when_a_pass_phrase_has_to_be_asked_for(profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    by_log_in = Profile("p", "https://r", "a", "oidc", issuer="https://op/", client_id="qostui")
    wanted = str(tmp_path / "state" / "keyring" / "secrets.cfg")
    assert desk(by_log_in, tmp_path).needs_pass_phrase() == wanted
    assert desk(replace(profile, password_keyring="p"), tmp_path).needs_pass_phrase() == wanted
    assert desk(profile, tmp_path).needs_pass_phrase() == ""
    assert desk(replace(by_log_in, oidc_agent="lake"), tmp_path).needs_pass_phrase() == ""


def test_what_a_profile_lacks_is_said(tmp_path: Path) -> None:
    here = desk(Profile("p", "https://r", "a", "userpass"), tmp_path)
    for act in (
        lambda: here.make_proxy(None, 12),
        here.voms_command,
        lambda: here.check_proxy(0),
        lambda: here.log_in(lambda code: None, None),  # type: ignore[arg-type]
        here.refresh,
        lambda: here.narrow("a", "b"),
        lambda: here.macaroon("https://h/x", ("LIST",), 5),
        lambda: here.macaroon("root://h/x", ("LIST",), 5),
        lambda: here.macaroon("https://h/x", ("FLY",), 5),
        lambda: here.macaroon("https://h/x", ("LIST",), 0),
        here.delegate,
        lambda: here.take_file(tmp_path / "none"),
        lambda: here.export("4 token", tmp_path / "out"),
    ):
        with pytest.raises(Problem) as caught:
            act()
        assert caught.value.step, caught.value.summary
