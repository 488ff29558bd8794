"""The doctor on trust: names of CAs, signing policies and revocation lists, each spoiled in one thing."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from qostui.adapters.doctor import anchors, revocation, signing_policy, trust
from qostui.adapters.doctor.case import Case
from qostui.config import Settings
from qostui.domain.finding import Finding
from qostui.domain.profile import Profile
from qostui.lake.inside import authority

NOW = datetime.now(UTC)


class Wanted:
    """A Cancel that nobody uses."""

    wanted = True

    def closes(self, close: Callable[[], None]) -> None:
        """Never called."""


@pytest.fixture(scope="module")
def ca() -> authority.Credential:
    return authority.new_authority("Doctor CA", NOW)


@pytest.fixture(scope="module")
def other() -> authority.Credential:
    return authority.new_authority("Another CA", NOW)


@pytest.fixture(scope="module")
def alice(ca: authority.Credential) -> authority.Credential:
    return authority.issue(ca, "alice", NOW)


def names(made: authority.Credential) -> tuple[str, str]:
    return anchors.subject_names(made.certificate.subject)


POLICY = "access_id_CA X509 '/DC=test/DC=qostui/CN={name}'\npos_rights globus CA:sign\ncond_subjects globus '\"/DC=test/DC=qostui/*\"'\n"


@pytest.fixture
def directory(tmp_path: Path, ca: authority.Credential) -> Path:
    """A grid CA directory with nothing wrong."""
    place = tmp_path / "certificates"
    place.mkdir()
    for name in names(ca):
        (place / f"{name}.0").write_bytes(authority.certificate_pem(ca.certificate))
        (place / f"{name}.signing_policy").write_text(POLICY.format(name="Doctor CA"))
        (place / f"{name}.r0").write_bytes(authority.revocations(ca, [], NOW, NOW + timedelta(days=30)))
    return place


@pytest.fixture
def profile(directory: Path, tmp_path: Path, alice: authority.Credential) -> Profile:
    certificate = tmp_path / "alice.pem"
    certificate.write_bytes(authority.certificate_pem(alice.certificate))
    return Profile("p", "https://localhost:1", "ops", "x509", certificate=certificate, ca_path=directory)


CHECKS = (
    trust.check_file,
    trust.check_directory,
    trust.check_validity,
    trust.check_chain,
    trust.check_names,
    trust.check_policy,
    revocation.check,
)


def bad(profile: Profile | None) -> list[Finding]:
    """What is a warning or a fault."""
    case = Case(profile, Settings())
    return [found for check in CHECKS for found in check(case, Wanted()) if found.level in ("warning", "fault")]


def only(profile: Profile) -> Finding:
    found = bad(profile)
    assert len(found) == 1, found
    assert found[0].fix
    return found[0]


def test_a_good_directory(profile: Profile) -> None:
    assert bad(profile) == []


def test_without_a_profile_and_a_directory_nothing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(anchors, "DEFAULT_DIRECTORY", tmp_path / "nowhere")
    assert bad(None) == []


def test_names_are_those_of_openssl(ca: authority.Credential, tmp_path: Path) -> None:
    odd = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "  Zwei   Räume & Co. "),
            x509.NameAttribute(NameOID.COMMON_NAME, "MIXED Case-CA 2"),
            x509.NameAttribute(NameOID.EMAIL_ADDRESS, "ca@Example.org"),
        ]
    )
    builder = x509.CertificateBuilder().issuer_name(odd).public_key(ca.key.public_key()).serial_number(7)
    builder = builder.not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
    from cryptography.hazmat.primitives.hashes import SHA256

    for number, subject in enumerate((odd, ca.certificate.subject)):
        file = tmp_path / f"{number}.pem"
        file.write_bytes(authority.certificate_pem(builder.subject_name(subject).sign(ca.key, SHA256())))
        said = subprocess.run(
            ["openssl", "x509", "-noout", "-subject_hash", "-subject_hash_old", "-in", file], capture_output=True, text=True, check=True
        ).stdout.split()
        assert tuple(said) == anchors.subject_names(subject)


def test_missing_and_empty_directories(profile: Profile, tmp_path: Path, directory: Path) -> None:
    gone = only(replace(profile, ca_path=tmp_path / "gone"))
    assert (gone.check, gone.level) == ("trust.directory", "fault")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert only(replace(profile, ca_path=empty)).check == "trust.directory"
    (directory / "junk.pem").write_text("nothing")
    assert only(profile).summary.endswith("junk.pem: no certificate in it")


def test_a_hash_link_is_missing(profile: Profile, directory: Path, ca: authority.Credential) -> None:
    new, old = names(ca)
    (directory / f"{new}.0").unlink()
    found = only(profile)
    assert (found.check, found.level) == ("trust.names", "fault")
    assert found.fix == f"ln -s {old}.0 {directory / new}.0"
    command = found.fix.split()
    subprocess.run(command, check=True)
    assert bad(profile) == []
    (directory / f"{old}.0").rename(directory / "elsewhere.0")
    (directory / f"{new}.0").unlink()
    (directory / f"{new}.0").symlink_to("elsewhere.0")
    assert bad(profile) == []  # the older hash is only noted


@pytest.mark.parametrize("what", ["over", "early", "soon", "orphan"])
def test_a_ca_out_of_its_time(profile: Profile, directory: Path, ca: authority.Credential, other: authority.Credential, what: str) -> None:
    shifted = {"over": timedelta(days=-4000), "early": timedelta(days=5), "soon": timedelta(days=-3653 + 20)}
    made = authority.issue(other, "Intermediate", NOW) if what == "orphan" else authority.new_authority(f"CA {what}", NOW + shifted[what])
    subject = str(list(made.certificate.subject)[-1].value)
    for name in names(made):
        (directory / f"{name}.0").write_bytes(authority.certificate_pem(made.certificate))
        (directory / f"{name}.signing_policy").write_text(POLICY.format(name=subject))
        (directory / f"{name}.r0").write_bytes(authority.revocations(made, [], NOW, NOW + timedelta(days=30)))
    found = only(profile)
    assert found.check == ("trust.chain" if what == "orphan" else "trust.validity")
    assert found.level == ("warning" if what == "soon" else "fault")
    assert subject in found.summary


def test_the_ca_file(profile: Profile, tmp_path: Path, ca: authority.Credential) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(authority.certificate_pem(ca.certificate))
    assert bad(replace(profile, ca=file)) == []
    file.write_bytes(authority.certificate_pem(authority.new_authority("Old CA", NOW - timedelta(days=4000)).certificate))
    assert (only(replace(profile, ca=file)).check, only(replace(profile, ca=file)).level) == ("trust.file", "fault")
    file.write_text("nothing")
    assert "no certificate" in only(replace(profile, ca=file)).summary
    assert "No such file" in only(replace(profile, ca=tmp_path / "gone")).summary


def test_signing_policies(profile: Profile, directory: Path, ca: authority.Credential) -> None:
    path = directory / f"{names(ca)[0]}.signing_policy"
    good = path.read_text()
    path.write_text(good.replace("/DC=test/DC=qostui/*", "/DC=test/DC=elsewhere/*"))
    refused = only(profile)
    assert (refused.check, refused.level) == ("trust.policy", "fault")
    assert "/DC=test/DC=qostui/CN=alice" in refused.summary
    path.write_text(good.replace("Doctor", "Nurse"))
    assert "does not name" in only(profile).summary
    path.write_text("# nothing\n")
    assert "does not name" in only(profile).summary
    path.unlink()
    assert "is missing" in only(profile).summary


def test_policies_are_read_as_globus_writes_them() -> None:
    policy = signing_policy.parse(
        "# a comment\n"
        " access_id_CA      X509         '/C=DE/O=Grid/CN=CA/Email=ca@grid.de'\n"
        " access_id_CA X509 '/C=DE/O=Grid/CN=CA 2'\n"
        " pos_rights        globus        CA:sign\n"
        ' cond_subjects     globus     \'"/C=DE/O=Grid/*" "/C=FR/CN=only.one"\'\n'
        "access_id_CA X509 '/CN=mute'\npos_rights globus CA:nothing\ncond_subjects globus '\"*\"'\nbroken line\n"
    )
    assert "/C=DE/O=Grid/CN=CA/emailAddress=ca@grid.de" in policy
    for ca in ("/C=DE/O=Grid/CN=CA/emailAddress=ca@grid.de", "/C=DE/O=Grid/CN=CA 2"):
        assert signing_policy.allows(policy, ca, "/C=DE/O=Grid/OU=x/CN=alice")
        assert signing_policy.allows(policy, ca, "/C=FR/CN=only.one")
        assert not signing_policy.allows(policy, ca, "/C=FR/CN=only.one.more")
    assert "/CN=mute" not in policy
    assert not signing_policy.allows(policy, "/CN=mute", "/CN=x")


@pytest.mark.parametrize(
    ("what", "level", "word"),
    [
        ("over", "fault", "is over"),
        ("missing", "warning", "is missing"),
        ("ending", "warning", "ends within a day"),
        ("garbage", "fault", "cannot be read"),
        ("foreign", "fault", "was not signed"),
        ("forged", "fault", "was not signed"),
    ],
)
def test_revocation_lists(
    profile: Profile, directory: Path, ca: authority.Credential, other: authority.Credential, what: str, level: str, word: str
) -> None:
    forger = authority.Credential(other.key, ca.certificate)
    content = {
        "over": lambda: authority.revocations(ca, [], NOW, NOW - timedelta(hours=1)),
        "ending": lambda: authority.revocations(ca, [], NOW, NOW + timedelta(hours=5)),
        "garbage": lambda: b"garbage",
        "foreign": lambda: authority.revocations(other, [], NOW, NOW + timedelta(days=9)),
        "forged": lambda: authority.revocations(forger, [], NOW, NOW + timedelta(days=9)),
    }
    for name in names(ca):
        path = directory / f"{name}.r0"
        path.unlink() if what == "missing" else path.write_bytes(content[what]())
    found = only(profile)
    assert (found.check, found.level) == ("trust.crl", level)
    assert word in found.summary
    assert "fetch-crl" in found.fix


def test_a_crl_that_nobody_fetched_for_a_day_is_noted(profile: Profile, directory: Path, ca: authority.Credential) -> None:
    for name in names(ca):
        path = directory / f"{name}.r0"
        path.write_bytes(authority.revocations(ca, [], NOW - timedelta(days=2), NOW + timedelta(days=9)))
        os.utime(path, times=((NOW - timedelta(days=2)).timestamp(),) * 2)
    (found,) = revocation.check(Case(profile, Settings()), Wanted())
    assert (found.level, "more than a day ago" in found.summary) == ("note", True)


def test_in_a_large_distribution_one_bad_ca_that_we_do_not_need_is_a_warning(
    profile: Profile, directory: Path, ca: authority.Credential
) -> None:
    for number in range(trust.FEW):
        made = authority.Credential(ca.key, _named(ca, f"CA {number}"))
        for name in names(made):
            (directory / f"{name}.0").write_bytes(authority.certificate_pem(made.certificate))
            (directory / f"{name}.signing_policy").write_text(POLICY.format(name=f"CA {number}"))
            (directory / f"{name}.r0").write_bytes(authority.revocations(made, [], NOW, NOW + timedelta(days=30 if number else -1)))
    found = only(profile)
    assert (found.check, found.level) == ("trust.crl", "warning")
    assert "CN=CA 0" in found.summary


def _named(ca: authority.Credential, name: str) -> x509.Certificate:
    from cryptography.hazmat.primitives.hashes import SHA256

    subject = x509.Name([*list(ca.certificate.subject)[:-1], x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(ca.key.public_key()).serial_number(9)
    return builder.not_valid_before(NOW).not_valid_after(NOW + timedelta(days=900)).sign(ca.key, SHA256())


@given(st.text(max_size=300), st.text(max_size=40))
def test_odd_policies_and_names_break_nothing(noise: str, name: str) -> None:
    text = f"access_id_CA X509 '{name}'\npos_rights globus CA:sign\ncond_subjects globus '\"{noise}\"'\n{noise}"
    assert signing_policy.allows(signing_policy.parse(text), name, noise) in (True, False)


@given(st.integers(0, 2000), st.binary(max_size=60))
def test_what_is_no_ca_is_an_error_that_is_expected(ca: authority.Credential, at: int, noise: bytes) -> None:
    whole = ca.certificate.public_bytes(serialization.Encoding.DER)
    for broken in (noise, whole[:at], whole[:at] + noise + whole[at + len(noise) :]):
        try:
            anchors.certificates_of(broken)
        except ValueError:
            continue


def test_what_is_shared_is_made_once_and_its_problem_is_kept() -> None:
    from qostui.domain.errors import Problem

    case, made = Case(None, Settings()), []

    def make() -> int:
        made.append(threading.get_ident())
        return 5

    def fail() -> int:
        made.append(0)
        raise Problem("no")

    assert [case.once("a", make), case.once("a", make)] == [5, 5]
    for _ in range(2):
        with pytest.raises(Problem):
            case.once("b", fail)
    assert len(made) == 2
