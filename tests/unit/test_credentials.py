"""Reading credentials for show: certificates, VOMS extensions, tokens, secret files; never more than is asked for."""

from __future__ import annotations

import base64
import json
import os
import pickle
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qostui.adapters import credentials, environment, secret_files, tokens, x509
from qostui.domain.errors import CredentialProblem
from qostui.domain.profile import Profile, Secret
from qostui.services.ports_credentials import ACTIONS


def der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([0x82, size >> 8, size & 0xFF])
    return bytes([tag]) + length + content


FQAN_OID = bytes.fromhex("060a2b06010401be45646404")
FQANS = (b"/escape/Role=NULL/Capability=NULL", b"/escape/qos/Role=operator/Capability=NULL")


def voms_extension(end: bytes = b"20261123074248Z") -> bytes:
    """An extension as VOMS makes it: SEQUENCE of SEQUENCE of AC with validity and one FQAN attribute."""
    policy = der(0xA0, der(0x86, b"escape://localhost:15000"))
    attribute = der(0x30, FQAN_OID, der(0x31, der(0x30, policy, der(0x30, *(der(0x04, each) for each in FQANS)))))
    validity = der(0x30, der(0x18, b"20261122194248Z"), der(0x18, end))
    holder = der(0x30, der(0xA0, der(0x30, der(0x0C, b"holder")), der(0x02, b"\x01")))
    info = der(
        0x30,
        der(0x02, b"\x01"),
        holder,
        der(0xA0, der(0x30)),
        der(0x30, der(0x06, b"\x2a\x03")),
        der(0x02, b"\x07"),
        validity,
        der(0x30, attribute),
    )
    ac = der(0x30, info, der(0x30, der(0x06, b"\x2a\x03")), der(0x03, b"\x00" * 200))
    return der(0x30, der(0x30, ac))


def test_voms_attributes() -> None:
    (ac,) = x509.attribute_certificates(voms_extension())
    assert ac.fqans == tuple(each.decode() for each in FQANS)
    assert ac.expires == datetime(2026, 11, 23, 7, 42, 48, tzinfo=UTC)
    assert ac.authority == "escape://localhost:15000"
    (odd,) = x509.attribute_certificates(voms_extension(b"yesterday"))
    assert odd.expires is None


@given(st.binary(max_size=200), st.integers(0, 400))
def test_a_broken_extension_is_an_error_that_is_expected(noise: bytes, at: int) -> None:
    whole = voms_extension()
    for broken in (noise, whole[:at], whole[:at] + noise + whole[at + len(noise) :]):
        try:
            x509.attribute_certificates(broken)
        except (ValueError, IndexError):
            continue


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"\xff" * 50])
def test_what_is_no_certificate_is_a_credential_problem(content: bytes) -> None:
    with pytest.raises(CredentialProblem):
        x509.parse(content, "the proxy p")


def jwt(claims: object) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'RS256'})}.{part(claims)}.c2ln"


def test_tokens_are_decoded_for_show() -> None:
    claims = {
        "sub": "alice",
        "iss": "https://op/",
        "aud": ["rucio", "x"],
        "scope": "openid storage.read:/",
        "exp": 1795340000,
        "wlcg.groups": ["/escape"],
    }
    found = tokens.decode(jwt(claims))
    assert found is not None
    assert (found.subject, found.audience, found.scopes, found.groups) == (
        "alice",
        ("rucio", "x"),
        ("openid", "storage.read:/"),
        ("/escape",),
    )
    assert found.expires == datetime.fromtimestamp(1795340000, UTC)
    assert found.algorithm == "RS256"


@pytest.mark.parametrize("token", ["", "opaque", "a.b", "a.b.c", "....", jwt([1]), "é.é.é"])
def test_what_is_no_jwt_is_none(token: str) -> None:
    assert tokens.decode(token) is None


@given(
    st.dictionaries(
        st.sampled_from(["sub", "aud", "scope", "exp", "nbf", "wlcg.groups"]),
        st.one_of(st.none(), st.floats(), st.text(), st.lists(st.integers())),
    )
)
def test_odd_claims_do_not_break_the_pane(claims: dict[str, object]) -> None:
    assert tokens.decode(jwt(claims)) is not None


def test_secret_files_are_read_only_when_private(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("pass word\r\nmore")
    file.chmod(0o600)
    assert secret_files.first_line(file, "the file") == "pass word"
    file.chmod(0o640)
    with pytest.raises(CredentialProblem, match="can be read by others") as caught:
        secret_files.first_line(file, "the file")
    assert caught.value.step == f"chmod 600 {file}"
    file.chmod(0o600)
    file.write_text("\n")
    with pytest.raises(CredentialProblem, match="is empty"):
        secret_files.first_line(file, "the file")
    with pytest.raises(CredentialProblem, match="not a regular file"):
        secret_files.read_secret(tmp_path, "the file")
    with pytest.raises(CredentialProblem, match="No such file"):
        secret_files.read_secret(tmp_path / "none", "the file")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    with pytest.raises(CredentialProblem, match="not a regular file"):
        secret_files.read_secret(pipe, "the file")


def test_own_secret_files_follow_no_link_and_are_written_in_one_step(tmp_path: Path) -> None:
    directory = secret_files.private_directory(tmp_path / "private")
    secret_files.write_secret(directory, "token", b"one")
    secret_files.write_secret(directory, "token", b"two")
    assert [path.name for path in directory.iterdir()] == ["token"]
    assert secret_files.read_secret(directory / "token", "the token", own=True) == b"two"
    (directory / "link").symlink_to(directory / "token")
    with pytest.raises(CredentialProblem):
        secret_files.read_secret(directory / "link", "the token", own=True)
    directory.chmod(0o755)
    with pytest.raises(CredentialProblem, match="not a private directory"):
        secret_files.private_directory(directory)


def test_a_secret_does_not_leak_by_itself() -> None:
    secret = Secret("s3cret")
    assert "s3cret" not in f"{secret}{secret!r}{[secret]}"
    assert secret.reveal() == "s3cret"
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_the_environment_is_read_once_and_removed(tmp_path: Path) -> None:
    proxy = tmp_path / "proxy"
    proxy.write_text("x")
    env = {
        "RUCIO_HOST": "https://rucio.example.org", "RUCIO_ACCOUNT": "ops", "RUCIO_AUTH_TYPE": "x509_proxy", "X509_USER_PROXY": str(proxy),
        "X509_CERT_DIR": "/etc/grid-security/certificates", "GFAL_PYTHONBIN": "/usr/bin/python3", "PATH": "/bin", "BEARER_TOKEN": "s3cret",
    }  # fmt: skip
    profile = environment.take(env)
    assert profile is not None
    assert (profile.name, profile.auth, profile.proxy) == ("env", "x509_proxy", proxy)
    assert profile.source_of("proxy") == "$X509_USER_PROXY"
    assert profile.ca_path == Path("/etc/grid-security/certificates")
    assert set(env) == {"GFAL_PYTHONBIN", "PATH", "RUCIO_CLIENT_MODE"}
    assert environment.take({"PATH": "/bin"}) is None


def test_a_rucio_cfg_named_by_the_environment_is_a_profile_too(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    text = "[client]\nrucio_host = https://r:1\nauth_host = https://a:1\naccount = me\n"
    text += "auth_type = userpass\nusername = ddm\npassword = s3%cret\nca_cert = /ca.pem\n"
    (tmp_path / "etc" / "rucio.cfg").write_text(text)
    profile = environment.take({"RUCIO_HOME": str(tmp_path)})
    assert profile is not None
    assert (profile.rucio_host, profile.login_host, profile.login_name, profile.ca) == (
        "https://r:1",
        "https://a:1",
        "ddm",
        Path("/ca.pem"),
    )
    assert profile.token is not None
    assert profile.token.reveal() == "s3%cret"


def a_profile(**values: object) -> Profile:
    return Profile("lake", "https://rucio.test", "ops", "x509_proxy", **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "values", "can"),
    [
        ("X.509 certificate", {}, set()),
        ("X.509 certificate", {"certificate": Path("/c"), "key": Path("/k"), "voms": "escape"}, {"proxy", "voms"}),
        ("X.509 proxy", {}, {"macaroon", "import", "export", "drop"}),
        ("X.509 proxy", {"fts": "https://fts", "voms": "escape"}, {"delegate", "macaroon", "import", "export", "drop"}),
        ("VOMS AC", {}, set()),
        ("VOMS AC", {"certificate": Path("/c"), "key": Path("/k"), "voms": "escape"}, {"voms"}),
        ("Access token", {"token_file": Path("/t")}, {"macaroon", "import", "export"}),
        ("Access token", {"oidc_agent": "wlcg"}, {"refresh", "narrow", "macaroon", "export"}),
        ("Access token", {"issuer": "https://op/"}, {"log-in", "refresh", "narrow", "macaroon", "import", "export", "drop"}),
        ("Pass word", {"issuer": "https://op/"}, set()),
    ],
)
def test_what_is_offered_goes_by_what_the_profile_has(kind: str, values: dict[str, object], can: set[str]) -> None:
    offered = credentials.offered(a_profile(**values), kind)
    assert set(offered) == can
    assert set(offered) <= set(ACTIONS)


@pytest.mark.parametrize(
    ("values", "renews"),
    [
        ({"oidc_agent": "wlcg"}, True),
        ({"issuer": "https://op/"}, True),
        ({"issuer": "https://op/", "scope": "openid offline_access"}, True),
        ({"issuer": "https://op/", "scope": "openid"}, False),
        ({"issuer": "https://op/", "token_file": Path("/nowhere/token")}, False),
    ],
)
def test_tokens_that_are_replaced_ahead_of_their_end_are_known(values: dict[str, object], renews: bool) -> None:
    assert credentials._renews(a_profile(**values)) is renews
