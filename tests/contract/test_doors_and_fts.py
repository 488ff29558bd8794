"""Macaroons from a door and delegation to FTS, where door and FTS refuse, talk nonsense or are somebody else."""

from __future__ import annotations

import json
import ssl
import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from qostui.adapters import own_files
from qostui.adapters.desk import CredentialDesk
from qostui.domain.errors import CertificateProblem, CredentialProblem, DeniedProblem, Problem, ServerProblem, UsageProblem
from qostui.domain.profile import Profile
from tests import certificates
from tests.certificates import Pair, written

from .fake_web import FakeWeb, Heard, Said, running

MACAROON = "MDAxYWxvY2F0aW9uIGxha2UKMDAzNGlkZW50aWZpZXIg"


@pytest.fixture(scope="module")
def ca() -> Pair:
    return certificates.authority()


@pytest.fixture(scope="module")
def alice(ca: Pair) -> Pair:
    return certificates.issued(certificates.name("alice"), ca)


@pytest.fixture
def profile(tmp_path: Path, ca: Pair, alice: Pair) -> Profile:
    proxy = written(tmp_path / "proxy.pem", certificates.proxy(alice))
    return Profile("p", "https://r", "alice", "x509_proxy", proxy=proxy, ca=written(tmp_path / "ca.pem", ca.pem))


@pytest.fixture
def door(tmp_path: Path, ca: Pair) -> Iterator[FakeWeb]:
    pair = certificates.server(ca)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(written(tmp_path / "s.pem", pair.pem), written(tmp_path / "s.key", pair.key_pem()))
    context.load_verify_locations(cadata=ca.pem.decode())
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= ssl.VERIFY_ALLOW_PROXY_CERTS
    with running(FakeWeb({"/data/f": lambda heard: Said({"macaroon": MACAROON})}), context) as web:
        yield web


def desk(profile: Profile, tmp_path: Path) -> CredentialDesk:
    return CredentialDesk(profile, tmp_path / "run", tmp_path / "state")


def test_a_macaroon_is_asked_for_as_doors_want_it(profile: Profile, door: FakeWeb, tmp_path: Path) -> None:
    here = desk(profile, tmp_path)
    file = here.macaroon(door.address.replace("https://", "davs://") + "/data/f", ("LIST", "DOWNLOAD"), 30)
    (asked,) = door.heard
    assert (asked.method, asked.headers["Content-Type"]) == ("POST", "application/macaroon-request")
    assert json.loads(asked.body) == {"caveats": ["activity:LIST,DOWNLOAD"], "validity": "PT30M"}
    assert "Authorization" not in asked.headers
    assert file.read_text() == f"{MACAROON}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.parent == own_files.directory(profile, tmp_path / "run")


def test_a_profile_without_a_certificate_shows_its_token(profile: Profile, door: FakeWeb, tmp_path: Path) -> None:
    token = written(tmp_path / "token", b"tok-for-the-door\n")
    here = desk(replace(profile, proxy=None, auth="oidc", token_file=token), tmp_path)
    here.macaroon(f"{door.address}/data/f", ("LIST",), 5)
    assert door.heard[0].headers["Authorization"] == "Bearer tok-for-the-door"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Said(b"no", 403), DeniedProblem),
        (Said(b"no", 401), DeniedProblem),
        (Said(b"<html>" + b"x" * 20_000, 200, "text/html"), ServerProblem),
        (Said({"macaroon": "short"}), ServerProblem),
        (Said({"macaroon": "x" * 30 + "\n\x1b"}), ServerProblem),
        (Said({"macaroon": ["x"]}), ServerProblem),
        (Said([MACAROON]), ServerProblem),
        (Said({"macaroon": MACAROON}, 500), ServerProblem),
        (Said(b"", 405), ServerProblem),
        (Said(b"", 302, headers={"Location": "https://elsewhere.example.org/"}), ServerProblem),
    ],
)
def test_a_door_that_gives_none_says_why(profile: Profile, door: FakeWeb, tmp_path: Path, answer: Said, kind: type[Problem]) -> None:
    door.answers["/data/f"] = lambda heard: answer
    with pytest.raises(kind) as caught:
        desk(profile, tmp_path).macaroon(f"{door.address}/data/f", ("LIST",), 5)
    assert caught.value.step
    assert MACAROON not in caught.value.detail
    assert not list((tmp_path / "run").rglob("macaroon-*"))


def test_a_door_of_an_unknown_ca_hears_nothing(profile: Profile, door: FakeWeb, tmp_path: Path) -> None:
    stranger = written(tmp_path / "stranger.pem", certificates.authority().pem)
    with pytest.raises(CertificateProblem):
        desk(replace(profile, ca=stranger), tmp_path).macaroon(f"{door.address}/data/f", ("LIST",), 5)
    assert door.heard == []


@pytest.mark.parametrize("address", ["http://h/x", "root://h//x", "gsiftp://h/x", "", "file:///etc/passwd"])
def test_only_https_doors_are_asked(profile: Profile, tmp_path: Path, address: str) -> None:
    with pytest.raises(UsageProblem):
        desk(profile, tmp_path).macaroon(address, ("LIST",), 5)


class FakeFts:
    """Delegates as FTS does: a key of its own, a request, a signed chain."""

    def __init__(self, web: FakeWeb) -> None:
        self.web = web
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.kept: list[x509.Certificate] = []
        web.answers |= {
            "/whoami": lambda heard: Said({"delegation_id": "abc123", "user_dn": "/CN=alice"}),
            "/delegation/abc123/request": lambda heard: Said(self.request(), content_type="text/plain"),
            "/delegation/abc123/credential": self._credential,
            "/delegation/abc123": self._view,
        }

    def request(self) -> bytes:
        builder = x509.CertificateSigningRequestBuilder().subject_name(certificates.name("Dummy"))
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _credential(self, heard: Heard) -> Said:
        self.kept = x509.load_pem_x509_certificates(heard.body)
        return Said(b"", 201)

    def _view(self, heard: Heard) -> Said:
        ends = min((each.not_valid_after_utc for each in self.kept), default=None)
        return Said({"termination_time": f"{ends:%Y-%m-%dT%H:%M:%S}"} if ends else None)


@pytest.fixture
def fts() -> Iterator[FakeFts]:
    with running(FakeWeb()) as web:
        yield FakeFts(web)


def test_what_is_delegated_is_a_proxy_of_our_proxy(profile: Profile, fts: FakeFts, tmp_path: Path, ca: Pair) -> None:
    ends = desk(replace(profile, fts=fts.web.address), tmp_path).delegate()
    first, proxy, holder = fts.kept
    first.verify_directly_issued_by(proxy)
    proxy.verify_directly_issued_by(holder)
    holder.verify_directly_issued_by(ca.certificate)
    assert first.public_key() == fts.key.public_key()
    assert list(first.subject)[:-1] == list(proxy.subject)
    assert ends == first.not_valid_after_utc == proxy.not_valid_after_utc
    assert b"PRIVATE KEY" not in b"".join(each.body for each in fts.web.heard)


def test_an_fts_that_fails_says_how(profile: Profile, fts: FakeFts, tmp_path: Path) -> None:
    here = desk(replace(profile, fts=fts.web.address), tmp_path)
    good = dict(fts.web.answers)
    cases = [
        ("/whoami", Said({}), CredentialProblem),
        ("/whoami", Said({"delegation_id": "../../etc"}), CredentialProblem),
        ("/whoami", Said(b"<html>", 200, "text/html"), ServerProblem),
        ("/whoami", Said({"message": "no"}, 403), DeniedProblem),
        ("/whoami", Said(b"", 401), CredentialProblem),
        (
            "/delegation/abc123/request",
            Said(b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"),
            ServerProblem,
        ),
        ("/delegation/abc123/request", Said(b"\xff" * 20_000), ServerProblem),
        ("/delegation/abc123/credential", Said({"message": "wrong key"}, 400), ServerProblem),
        ("/delegation/abc123", Said(None), ServerProblem),
        ("/delegation/abc123", Said({"termination_time": "yesterday"}), ServerProblem),
        ("/delegation/abc123", Said({"termination_time": "2001-01-01T00:00:00"}), ServerProblem),
    ]
    for path, answer, kind in cases:
        fts.web.answers = good | {path: lambda heard, said=answer: said}  # type: ignore[misc]
        with pytest.raises(kind) as caught:
            here.delegate()
        assert caught.value.step, path


def test_an_ended_proxy_is_not_delegated(profile: Profile, fts: FakeFts, tmp_path: Path, alice: Pair) -> None:
    ended = certificates.proxy(alice, begins=timedelta(hours=-3), ends=timedelta(hours=-1))
    written(tmp_path / "proxy.pem", ended)
    with pytest.raises(CredentialProblem, match="ended on"):
        desk(replace(profile, fts=fts.web.address), tmp_path).delegate()
    assert fts.web.heard == []
    assert datetime.now(UTC) > x509.load_pem_x509_certificates(ended)[0].not_valid_after_utc
