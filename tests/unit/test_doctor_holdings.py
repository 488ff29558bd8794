"""The doctor on credentials: files of each kind, spoiled in one thing."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from qostui.adapters.doctor import holdings, keeping
from qostui.adapters.doctor.case import Case
from qostui.config import Settings
from qostui.domain.finding import Finding
from qostui.domain.profile import Profile, Secret
from qostui.lake.inside import authority, proxies

NOW = datetime.now(UTC)
PROFILE = Profile("p", "https://localhost:1", "ops", "userpass")


class Wanted:
    """A Cancel that nobody uses."""

    wanted = True

    def closes(self, close: Callable[[], None]) -> None:
        """Never called."""


@pytest.fixture(scope="module")
def ca() -> authority.Credential:
    return authority.new_authority("Doctor CA", NOW - timedelta(days=500))


@pytest.fixture(scope="module")
def alice(ca: authority.Credential) -> authority.Credential:
    return authority.issue(ca, "alice", NOW - timedelta(days=1))


def private(path: Path, content: bytes | str, mode: int = 0o600) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


def look(check: Any, profile: Profile) -> Finding:
    """The one finding of a check."""
    (found,) = check(Case(profile, Settings()), Wanted())
    assert isinstance(found, Finding)
    assert found.level in ("ok", "note") or found.fix
    return found


@pytest.fixture
def certified(tmp_path: Path, alice: authority.Credential) -> Profile:
    certificate = private(tmp_path / "alice.pem", authority.certificate_pem(alice.certificate), 0o644)
    return replace(PROFILE, auth="x509", certificate=certificate, key=private(tmp_path / "alice.key", authority.key_pem(alice.key)))


def test_a_profile_without_credentials_of_a_kind_is_not_judged_by_it() -> None:
    for check in (holdings.check_certificate, holdings.check_key, holdings.check_proxy, holdings.check_attributes, holdings.check_token):
        assert list(check(Case(PROFILE, Settings()), Wanted())) == []
        assert list(check(Case(None, Settings()), Wanted())) == []


def test_certificate_and_key(certified: Profile, ca: authority.Credential, alice: authority.Credential) -> None:
    assert look(holdings.check_certificate, certified).level == "ok"
    good = look(holdings.check_key, certified)
    assert (good.level, "belongs" in good.summary) == ("ok", True)
    assert certified.key is not None
    certified.key.chmod(0o644)
    opened = look(holdings.check_key, certified)
    assert (opened.level, opened.fix) == ("fault", f"chmod 600 {certified.key}")
    private(certified.key, authority.key_pem(ca.key))
    assert "does not belong" in look(holdings.check_key, certified).summary
    private(certified.key, "nonsense")
    assert look(holdings.check_key, certified).level == "fault"
    locked = alice.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"word")
    )
    private(certified.key, locked)
    assert look(holdings.check_key, certified).level == "note"
    certified.key.unlink()
    assert "No such file" in look(holdings.check_key, certified).summary


@pytest.mark.parametrize(
    ("made", "lifetime", "level", "word"),
    [
        (timedelta(days=-400), timedelta(days=365), "fault", "expired 35 d ago"),
        (timedelta(days=3), timedelta(days=365), "fault", "is not valid before"),
        (timedelta(), timedelta(days=5), "warning", "ends in"),
        (timedelta(), timedelta(days=365), "ok", "lasts"),
    ],
)
def test_lifetime_of_a_certificate(
    tmp_path: Path, ca: authority.Credential, made: timedelta, lifetime: timedelta, level: str, word: str
) -> None:
    issued = authority.issue(ca, "alice", NOW + made, lifetime=lifetime)
    path = private(tmp_path / "alice.pem", authority.certificate_pem(issued.certificate), 0o644)
    found = look(holdings.check_certificate, replace(PROFILE, certificate=path))
    assert (found.level, word in found.summary) == (level, True)


@pytest.mark.parametrize(
    ("left", "mode", "level", "word"),
    [
        (timedelta(hours=9), 0o600, "ok", "lasts"),
        (timedelta(hours=-3), 0o600, "fault", "expired 3 h ago"),
        (timedelta(minutes=30), 0o600, "warning", "ends in"),
        (timedelta(hours=9), 0o640, "fault", "can be read by others"),
    ],
)
def test_proxies(tmp_path: Path, alice: authority.Credential, left: timedelta, mode: int, level: str, word: str) -> None:
    content = proxies.rfc_proxy(alice, NOW + left - timedelta(hours=12), NOW + left)
    path = private(tmp_path / "proxy.pem", content, mode)
    found = look(holdings.check_proxy, replace(PROFILE, proxy=path))
    assert (found.level, word in found.summary) == (level, True)


def test_what_is_no_proxy(tmp_path: Path, alice: authority.Credential) -> None:
    both = authority.certificate_pem(alice.certificate) + authority.key_pem(alice.key)
    assert look(holdings.check_proxy, replace(PROFILE, proxy=private(tmp_path / "a", both))).level == "warning"
    assert look(holdings.check_proxy, replace(PROFILE, proxy=private(tmp_path / "b", "x"))).level == "fault"
    assert look(holdings.check_proxy, replace(PROFILE, proxy=tmp_path / "c")).level == "fault"


def test_a_profile_that_names_a_vo_wants_attributes(tmp_path: Path, alice: authority.Credential) -> None:
    content = proxies.rfc_proxy(alice, NOW - timedelta(minutes=10), NOW + timedelta(hours=9))
    profile = replace(PROFILE, proxy=private(tmp_path / "proxy.pem", content), voms="escape:/escape/Role=operator")
    found = look(holdings.check_attributes, profile)
    assert (found.level, "no VOMS attributes" in found.summary) == ("warning", True)
    assert found.fix.startswith("voms-proxy-init -voms escape:/escape/Role=operator -out ")
    assert list(holdings.check_attributes(Case(replace(profile, voms=""), Settings()), Wanted())) == []


def token(algorithm: str = "RS256", **claims: object) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    usual = {"sub": "alice", "iss": "https://op/", "aud": "rucio", "exp": (NOW + timedelta(hours=2)).timestamp()}
    return f"{part({'alg': algorithm})}.{part(usual | claims)}.c2ln"


@pytest.mark.parametrize(
    ("text", "level", "word"),
    [
        (token(), "ok", "lasts"),
        (token(exp=(NOW - timedelta(hours=3)).timestamp()), "fault", "expired 3 h ago"),
        (token(nbf=(NOW + timedelta(hours=1, minutes=9)).timestamp()), "fault", "is not valid before"),
        (token(aud=[]), "warning", "names no audience"),
        (token(algorithm="none"), "fault", "is not signed"),
        ("opaque-token", "note", "no JSON Web Token"),
        ("", "fault", "is empty"),
    ],
)
def test_tokens(tmp_path: Path, text: str, level: str, word: str) -> None:
    file = private(tmp_path / "token", text + "\n")
    found = holdings.check_token(Case(replace(PROFILE, auth="oidc", token_file=file), Settings()), Wanted())
    (wrong,) = [each for each in found if each.level != "ok"] or found
    assert (wrong.level, word in wrong.summary) == (level, True)
    assert not text or text not in repr(found)


def test_a_token_of_the_environment_is_looked_at_too() -> None:
    profile = replace(PROFILE, auth="oidc", token=Secret(token()), sources=(("token", "$BEARER_TOKEN"),))
    assert "$BEARER_TOKEN" in look(holdings.check_token, profile).summary


def test_pass_word_files(tmp_path: Path) -> None:
    path = private(tmp_path / "password", "s3cret-word\n")
    assert look(holdings.check_password, replace(PROFILE, password_file=path)).level == "ok"
    path.chmod(0o644)
    found = look(holdings.check_password, replace(PROFILE, password_file=path))
    assert (found.level, found.fix) == ("fault", f"chmod 600 {path}")
    assert "s3cret" not in repr(found)
    private(path, "\n")
    assert look(holdings.check_password, replace(PROFILE, password_file=path)).level == "fault"


@pytest.mark.parametrize(
    ("service", "file", "names", "level"),
    [
        ("open", False, [], "ok"),
        ("locked", True, [], "note"),
        ("locked", True, ["ops"], "warning"),
        ("none", True, ["ops"], "note"),
        ("none", True, [], "note"),
        ("none", False, [], "warning"),
        ("none", False, ["ops"], "fault"),
    ],
)
def test_keyrings(service: str, file: bool, names: list[str], level: str) -> None:
    (found,) = keeping.judged(service, file, names)
    assert found.level == level
    assert all(name in found.summary for name in names)


def test_what_others_left_where_programs_look(tmp_path: Path) -> None:
    ours = private(tmp_path / "x509up_u0", "x")
    missing = tmp_path / "bt_u0"
    assert [each.level for each in keeping.strangers([ours, missing], os.geteuid())] == ["ok"]
    link = tmp_path / "link"
    link.symlink_to("/etc/hostname")
    assert [each.level for each in keeping.strangers([link], os.geteuid())] == ["note"]
    theirs = private(tmp_path / "theirs", "x")
    reader = os.geteuid()
    if reader == 0:
        for each in (link, theirs):
            os.lchown(each, 4711, -1)
    else:
        reader += 1  # an ordinary user cannot give files away: look with the eyes of somebody else
    found = keeping.strangers([theirs, link], reader)
    assert [(each.level, "of another user" in each.summary) for each in found] == [("warning", True)] * 2
    ours.chmod(0o644)
    (found,) = keeping.strangers([ours], os.geteuid())
    assert (found.level, found.fix) == ("warning", f"chmod 600 {ours}")
    directory = tmp_path / ".rucio_x"
    directory.mkdir()
    directory.chmod(0o777)
    (found,) = keeping.strangers([directory], os.geteuid())
    assert (found.level, found.fix) == ("warning", f"chmod 700 {directory}")
