"""Proxies made from certificate and key: what is in them, how long they live, and what is refused without any loss."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509 as library

from qostui.adapters import proxy_maker, x509
from qostui.domain.errors import CredentialProblem, Problem, UsageProblem
from qostui.domain.profile import Secret
from tests import certificates
from tests.certificates import Pair, written


@pytest.fixture(scope="module")
def ca() -> Pair:
    return certificates.authority()


@pytest.fixture(scope="module")
def alice(ca: Pair) -> Pair:
    return certificates.issued(certificates.name("alice"), ca)


def files(place: Path, pair: Pair, pass_phrase: str = "", *, old: bool = False) -> tuple[Path, Path]:
    return written(place / "cert.pem", pair.pem, 0o644), written(place / "key.pem", pair.key_pem(pass_phrase, old=old))


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("pass_phrase", ["", "geheim ß"])
def test_a_proxy_is_made_and_openssl_takes_it(tmp_path: Path, ca: Pair, alice: Pair, pass_phrase: str, old: bool) -> None:
    now = datetime.now(UTC)
    content = proxy_maker.proxy(*files(tmp_path, alice, pass_phrase, old=old), Secret(pass_phrase), 12)
    found = x509.parse(content, "p")
    assert found.is_proxy
    assert found.subject == "/DC=test/CN=alice"
    assert timedelta(hours=11, minutes=59) < found.expires - now <= timedelta(hours=12, seconds=5)
    first = library.load_pem_x509_certificates(content)[0]
    assert first.public_key().key_size == 2048  # type: ignore[union-attr]
    first.verify_directly_issued_by(alice.certificate)
    written(tmp_path / "ca.pem", ca.pem)
    written(tmp_path / "proxy.pem", proxy_maker.pem(first))
    checked = subprocess.run(
        ["openssl", "verify", "-allow_proxy_certs", "-CAfile", "ca.pem", "-untrusted", "cert.pem", "proxy.pem"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr


def test_no_proxy_outlives_the_certificate(tmp_path: Path, ca: Pair) -> None:
    soon = certificates.issued(certificates.name("soon"), ca, ends=timedelta(hours=2))
    found = x509.parse(proxy_maker.proxy(*files(tmp_path, soon), None, 12), "p")
    assert found.expires == soon.certificate.not_valid_after_utc


@pytest.mark.parametrize(
    ("given", "says"),
    [(None, "needs a pass phrase"), ("", "needs a pass phrase"), ("wrong", "does not open the key"), ("wr\0ng", "does not")],
)
def test_a_wrong_pass_phrase_says_so(tmp_path: Path, alice: Pair, given: str | None, says: str) -> None:
    paths = files(tmp_path, alice, "right")
    with pytest.raises(CredentialProblem, match=says) as caught:
        proxy_maker.proxy(*paths, Secret(given) if given is not None else None, 12)
    assert caught.value.step
    assert "right" not in str(caught.value)


def test_what_does_not_fit_is_refused(tmp_path: Path, ca: Pair, alice: Pair) -> None:
    bob = certificates.issued(certificates.name("bob"), ca)
    certificate, key = files(tmp_path, alice)
    key.write_bytes(bob.key_pem())
    with pytest.raises(CredentialProblem, match="do not belong together"):
        proxy_maker.proxy(certificate, key, None, 12)
    key.write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    with pytest.raises(CredentialProblem, match="cannot be read"):
        proxy_maker.proxy(certificate, key, None, 12)
    key.chmod(0o644)
    with pytest.raises(CredentialProblem, match="can be read by others"):
        proxy_maker.proxy(certificate, key, None, 12)
    with pytest.raises(CredentialProblem, match="No such file"):
        proxy_maker.proxy(tmp_path / "none", key, None, 12)


@pytest.mark.parametrize(("begins", "ends", "says"), [(-60, -1, "ended on"), (1, 60, "begins on")])
def test_a_certificate_out_of_its_time_is_refused(tmp_path: Path, ca: Pair, begins: int, ends: int, says: str) -> None:
    pair = certificates.issued(certificates.name("x"), ca, begins=timedelta(hours=begins), ends=timedelta(hours=ends))
    with pytest.raises(CredentialProblem, match=says):
        proxy_maker.proxy(*files(tmp_path, pair), None, 12)


@pytest.mark.parametrize("hours", [0, -1, float("nan"), float("inf"), 1e9])
def test_a_life_that_makes_no_sense_is_refused(tmp_path: Path, alice: Pair, hours: float) -> None:
    with pytest.raises(UsageProblem):
        proxy_maker.proxy(*files(tmp_path, alice), None, hours)


def test_a_holder_does_not_show_its_key(alice: Pair) -> None:
    held = proxy_maker.holder(alice.pem, alice.key_pem(), None, "w", datetime.now(UTC))
    assert repr(held) == "Holder(/DC=test/CN=alice)"


def test_each_refusal_is_a_problem_with_a_step(tmp_path: Path, alice: Pair) -> None:
    certificate, key = files(tmp_path, alice)
    for broken in (b"", b"\x30\x82\x01\x02", alice.pem[:200], alice.key_pem(), b"\xff" * 100):
        certificate.write_bytes(broken)
        with pytest.raises(Problem) as caught:
            proxy_maker.proxy(certificate, key, None, 12)
        assert caught.value.step
