"""What is shown to a door, and what is kept from it without asking."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from qostui.adapters import gfal, proofs
from qostui.adapters.proofs import bearing, prove, prove_all
from qostui.domain.access import Access
from qostui.domain.credential import Credential, Proof
from qostui.domain.errors import CredentialProblem
from qostui.domain.profile import Profile, Secret
from qostui.domain.rse import Door, Rse
from qostui.services.feeds import Cancelled
from qostui.services.lanes import Lane

PROFILE = Profile("p", "https://rucio", "me", "oidc", ca_path=Path("/ca"))
DAVS = Door("davs", "h", 443, "/data/")
RSE = Rse("A", "DISK", "SAFE", True, True, True, doors=(DAVS, replace(DAVS, port=444)))
TOKEN = Credential("4 token", "Access token", "alice", "file", issuer="https://iam/", audience=("https://h",))
PROXY = Credential("2 proxy", "X.509 proxy", "alice", "file")


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_bearing_is_one_credential_in_one_version(tmp_path: Path) -> None:
    file = written(tmp_path / "proxy", "first")
    profile = replace(PROFILE, proxy=file, token=Secret("handed over"))
    first, token = bearing(profile, PROXY), bearing(profile, TOKEN)
    assert (first.kind, token.kind, first.ca_path, first.owner) == (gfal.PROXY, gfal.TOKEN, Path("/ca"), "p")
    assert token.content is not None
    assert token.content.reveal() == "handed over"
    assert bearing(profile, PROXY).version == first.version
    written(file, "second")
    assert bearing(profile, PROXY).version != first.version
    assert len({first.version, token.version, bearing(replace(profile, name="q"), TOKEN).version}) == 3


def test_a_certificate_is_shown_with_its_key_unless_that_needs_a_pass_phrase(tmp_path: Path) -> None:
    certificate = Credential("3 certificate", "X.509 certificate", "alice", "file")
    profile = replace(PROFILE, certificate=written(tmp_path / "cert", "CERT"), key=written(tmp_path / "key", "KEY"))
    shown = bearing(profile, certificate)
    assert shown.kind == gfal.CERTIFICATE
    assert shown.content is not None
    assert shown.content.reveal() == "CERT\nKEY"
    written(tmp_path / "key", "-----BEGIN ENCRYPTED PRIVATE KEY-----")
    with pytest.raises(CredentialProblem, match="needs a pass phrase"):
        bearing(profile, certificate)


@pytest.mark.parametrize("credential", [PROXY, TOKEN, replace(PROXY, kind="X.509 certificate"), replace(PROXY, kind="Pass word")])
def test_what_the_profile_does_not_hold_cannot_be_shown(credential: Credential) -> None:
    with pytest.raises(CredentialProblem):
        bearing(PROFILE, credential)


def test_a_file_that_others_can_read_is_not_shown(tmp_path: Path) -> None:
    profile = replace(PROFILE, proxy=written(tmp_path / "proxy", "x", 0o644))
    proof = prove(profile, PROXY, RSE, DAVS, Lane("prove"))
    assert not proof.accepted
    assert "can be read by others (mode 0644)" in proof.reason


@pytest.mark.parametrize(
    ("credential", "door", "reason"),
    [
        (replace(TOKEN, expires=datetime.now(UTC) - timedelta(hours=3, minutes=5)), DAVS, "expired 3 h ago"),
        (replace(PROXY, not_before=datetime(2126, 1, 1, tzinfo=UTC)), DAVS, "not valid before 2126-01-01 00:00:00Z"),
        (replace(TOKEN, audience=("https://other",)), DAVS, "audience is https://other, the door wants https://h: not shown to it"),
        (replace(TOKEN, audience=("rucio",)), DAVS, "audience is rucio, the door wants https://h: not shown to it"),
        (PROXY, replace(DAVS, scheme="dav"), "not tried: no credential is shown over dav"),
        (TOKEN, replace(DAVS, scheme="http"), "not tried: no credential is shown over http"),
    ],
)
def test_what_is_not_shown_says_why(credential: Credential, door: Door, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*arguments: object) -> str:
        raise AssertionError("it was shown")

    monkeypatch.setattr(proofs, "_refusal", asked)
    proof = prove(replace(PROFILE, token=Secret("t")), credential, RSE, door, Lane("prove"))
    assert (proof.where, proof.accepted, proof.reason) == (f"A {door.scheme}", False, reason)


def test_a_door_that_lists_to_everybody_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "_refusal", lambda *arguments: "")
    proof = prove(replace(PROFILE, token=Secret("t")), TOKEN, RSE, DAVS, Lane("prove"))
    assert not proof.accepted
    assert "lists to everybody" in proof.reason


def test_all_proofs_come_however_many_doors_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    doors = tuple(replace(DAVS, port=port) for port in range(1, 30))
    rse = replace(RSE, doors=doors)
    monkeypatch.setattr(proofs, "prove", lambda p, c, r, d, *rest: Proof(f"{r.name} {d.port}", True, datetime.now(UTC)))
    found = list(prove_all(PROFILE, [TOKEN], [rse], Lane("all")))
    assert sorted(row.live.where for row in found if row.live) == sorted(f"A {door.port}" for door in doors)
    assert list(prove_all(PROFILE, [], [rse], Lane("all"))) == []


def test_a_failure_that_is_not_a_doors_own_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> Proof:
        raise proofs.GfalMissing("no gfal2")

    monkeypatch.setattr(proofs, "prove", broken)
    with pytest.raises(proofs.GfalMissing):
        list(prove_all(PROFILE, [TOKEN], [RSE], Lane("all")))


def test_cancelled_proofs_end(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = Lane("all")

    def slow(p: Profile, c: Credential, r: Rse, d: Door, cancel: Lane, *rest: object) -> Proof:
        lane.cancel()
        raise Cancelled

    monkeypatch.setattr(proofs, "prove", slow)
    found: list[Access] = []
    with pytest.raises(Cancelled):
        found.extend(prove_all(PROFILE, [TOKEN], [RSE], lane))
    assert found == []
