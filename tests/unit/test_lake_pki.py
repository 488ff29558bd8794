"""The lake's certificates, judged by openssl and the VOMS tools rather than by the code that made them."""

from __future__ import annotations

import json
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from qostui.lake.inside import pki, proxies, register, topology
from qostui.lake.inside.state import Facts, State

FACTS = Facts("abcd1234", "41.5.1", "nobody")
PEOPLE = [person.name for person in topology.PEOPLE]


def ran(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": "/usr/bin:/bin", **environment}
    return subprocess.run([str(part) for part in command], env=env, capture_output=True, text=True, timeout=60, check=False)


def verified(state: State, certificate: Path) -> subprocess.CompletedProcess[str]:
    """What openssl says of a certificate or proxy against the CA directory and its CRL.

    All of the chain is checked: `-crl_check` looks at the proxy alone, which no CRL ever lists.
    """
    options = ("-CApath", state.certificates, "-crl_check_all", "-allow_proxy_certs", "-untrusted", certificate)
    return ran("openssl", "verify", *options, certificate)


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificates(path.read_bytes())[0]


def made(root: Path, now: datetime) -> State:
    state = State(root)
    pki.create(state, FACTS, now)
    return state


@pytest.fixture(scope="module")
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory, now: datetime) -> State:
    """One fresh PKI with proxies, for tests that only look."""
    lake = made(tmp_path_factory.mktemp("pki"), now)
    proxies.renew(lake, FACTS, now)
    return lake


def test_openssl_accepts_hosts_people_and_their_proxies_with_the_crl_checked(state: State) -> None:
    files = [state.host_cert, proxies.voms_cert(state), *map(state.user_cert, PEOPLE), *map(state.proxy, PEOPLE)]
    assert [path.name for path in files if verified(state, path).returncode] == []


@pytest.mark.parametrize(
    ("kind", "reason"), [("expired", "certificate has expired"), ("untrusted", "unable to get"), ("revoked", "certificate revoked")]
)
def test_a_spoiled_proxy_carries_the_good_name_and_is_refused_for_its_one_fault(state: State, kind: str, reason: str) -> None:
    path = pki.spoiled_proxy(state, kind)
    answer = verified(state, path)
    assert answer.returncode != 0
    assert reason in answer.stderr
    names = certificate(path).subject.rfc4514_string()
    assert "CN=alice,DC=qostui,DC=test" in names


def test_both_hash_spellings_hold_ca_policy_and_crl(state: State) -> None:
    hashes = [ran("openssl", "x509", "-noout", option, "-in", state.ca).stdout.strip() for option in ("-subject_hash", "-subject_hash_old")]
    assert len(set(hashes)) == 2
    expected = {f"{name}.{kind}" for name in hashes for kind in ("0", "signing_policy", "r0")}
    assert {path.name for path in state.certificates.iterdir()} == expected
    policy = (state.certificates / f"{hashes[0]}.signing_policy").read_text()
    assert "'/DC=test/DC=qostui/CN=QoSTUI Lake CA'" in policy
    assert "'\"/DC=test/DC=qostui/*\"'" in policy


def test_keys_and_proxies_are_for_their_owner_only(state: State) -> None:
    secret = [*state.pki.rglob("*.key"), *map(state.proxy, PEOPLE), *(pki.spoiled_proxy(state, kind) for kind in pki.SPOILED)]
    assert len(secret) == 12
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in secret} == {0}
    assert stat.S_IMODE(state.user_key("alice").stat().st_mode) == 0o400


def test_the_host_certificate_names_localhost_and_both_loopback_addresses(state: State) -> None:
    names = certificate(state.host_cert).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]


def test_voms_tools_verify_the_attributes(state: State) -> None:
    trust = {"X509_CERT_DIR": str(state.certificates), "X509_VOMS_DIR": str(state.vomsdir), "HOME": str(state.root)}
    shown = ran("voms-proxy-info", "-all", "-file", state.proxy("alice"), **trust)
    assert "attribute : /escape/qos/Role=operator/Capability=NULL" in shown.stdout
    assert "issuer    : /DC=test/DC=qostui/CN=voms.localhost" in shown.stdout
    assert ran("voms-proxy-info", "-exists", "-acexists", "escape", "-file", state.proxy("alice"), **trust).returncode == 0


def test_create_again_keeps_everything_but_the_crl(tmp_path: Path, now: datetime) -> None:
    lake = made(tmp_path, now)
    before = {path: path.read_bytes() for path in lake.pki.rglob("*") if path.is_file() and path.suffix != ".r0"}
    pki.create(lake, FACTS, now + timedelta(hours=1))
    assert {path: path.read_bytes() for path in before} == before


def test_renew_replaces_what_ends_within_a_day_under_the_same_ca(tmp_path: Path, now: datetime) -> None:
    lake = made(tmp_path, now)
    authority, spoiled = lake.ca.read_bytes(), pki.spoiled_proxy(lake, "expired").read_bytes()
    assert pki.renew(lake, FACTS, now + timedelta(days=363)) == ["crl"]
    assert pki.renew(lake, FACTS, now + timedelta(days=364, hours=1)) == ["host", "voms", *PEOPLE, "crl"]
    assert certificate(lake.host_cert).not_valid_after_utc > now + timedelta(days=700)
    assert lake.ca.read_bytes() == authority
    assert pki.spoiled_proxy(lake, "expired").read_bytes() == spoiled


def test_a_lake_made_400_days_ago_comes_up_today(tmp_path: Path, now: datetime) -> None:
    lake = made(tmp_path, now - timedelta(days=400))
    proxies.renew(lake, FACTS, now - timedelta(days=400))
    assert certificate(lake.proxy("alice")).not_valid_after_utc < now
    assert set(pki.renew(lake, FACTS, now)) == {"host", "voms", *PEOPLE, "crl"}
    proxies.renew(lake, FACTS, now)
    assert verified(lake, lake.proxy("alice")).returncode == 0


def test_a_key_that_lost_its_certificate_is_replaced(tmp_path: Path, now: datetime) -> None:
    lake = made(tmp_path, now)
    lake.host_key.unlink()
    lake.host_key.write_bytes(lake.user_key("bob").read_bytes())
    assert pki.renew(lake, FACTS, now) == ["host", "crl"]
    assert verified(lake, lake.host_cert).returncode == 0


def test_an_expired_crl_makes_every_certificate_fail(tmp_path: Path, now: datetime) -> None:
    lake = made(tmp_path, now)
    pki.write_revocations(lake, now, now - timedelta(hours=1))
    assert "CRL has expired" in verified(lake, lake.host_cert).stderr


def test_a_ca_without_its_key_is_reported_with_the_next_step(tmp_path: Path, now: datetime) -> None:
    lake = made(tmp_path, now)
    lake.ca_key.unlink()
    with pytest.raises(pki.PkiError, match=r"qostui lake install"):
        pki.renew(lake, FACTS, now)


def test_a_proxy_is_not_made_without_a_certificate(tmp_path: Path, now: datetime) -> None:
    lake = made(tmp_path, now)
    lake.user_cert("bob").unlink()
    with pytest.raises(proxies.ProxyError, match="bob"):
        proxies.renew(lake, FACTS, now)


def test_every_private_key_is_in_the_register(state: State) -> None:
    noted = {json.loads(line) for line in state.register.read_text().splitlines()}
    lines = {path: register.key_lines(path.read_bytes()) for path in state.pki.rglob("*") if path.suffix in (".pem", ".key")}
    with_key = {path: found[0] for path, found in lines.items() if found}
    some = {state.ca_key, state.host_key, state.user_key("alice"), state.proxy("alice"), pki.spoiled_proxy(state, "revoked")}
    assert some <= set(with_key)
    assert [path for path, line in with_key.items() if line not in noted] == []
