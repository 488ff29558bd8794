"""Whatever lies in a credential's place, the parsers say one line or show what can be read: no traceback."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qostui.adapters import handing_over, tokens, x509
from qostui.domain.errors import CredentialProblem
from tests import certificates


@cache
def proxy() -> bytes:
    holder = certificates.issued(certificates.name("alice"), certificates.authority())
    extension = certificates.voms_extension("escape", ("/escape/Role=NULL/Capability=NULL",), datetime(2030, 1, 1, tzinfo=UTC))
    return certificates.proxy(holder, voms=extension)


def one_line(content: bytes) -> None:
    """Read, or refused in one line with a step."""
    refusal: CredentialProblem | None = None
    try:
        assert x509.parse(content, "the proxy p").chain
    except CredentialProblem as problem:
        refusal = problem
    assert refusal is None or (refusal.step and "\n" not in refusal.summary and len(refusal.summary) < 300)


@given(st.integers(0, 6000))
@settings(max_examples=60)
def test_a_proxy_cut_anywhere(at: int) -> None:
    one_line(proxy()[:at])


@given(st.integers(0, 6000), st.binary(min_size=1, max_size=8))
@settings(max_examples=150)
def test_a_proxy_with_noise_in_it(at: int, noise: bytes) -> None:
    whole = proxy()
    one_line(whole[:at] + noise + whole[at + len(noise) :])


@given(st.integers(0, 900), st.binary(min_size=1, max_size=4))
@settings(max_examples=200)
def test_a_certificate_with_noise_under_its_armour(at: int, noise: bytes) -> None:
    body = base64.b64decode(b"".join(proxy().split(b"-----")[2].split()))
    changed = base64.encodebytes(body[:at] + noise + body[at + len(noise) :])
    one_line(b"-----BEGIN CERTIFICATE-----\n" + changed + b"-----END CERTIFICATE-----\n")


@given(st.binary(max_size=300))
def test_anything_at_all(noise: bytes) -> None:
    one_line(noise)
    one_line(b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(noise) + b"-----END CERTIFICATE-----\n")


@pytest.mark.parametrize("start", [b"\x30\x82", b"\x30\x82\x03\xa0" + bytes(900)])
def test_der_says_how_to_convert_it(start: bytes) -> None:
    with pytest.raises(CredentialProblem, match="DER") as caught:
        x509.parse(start, "the proxy p")
    assert "openssl" in caught.value.step


def test_a_proxy_with_an_encrypted_key_says_so() -> None:
    holder = certificates.issued(certificates.name("alice"), certificates.authority())
    with pytest.raises(CredentialProblem, match="no proxy"):
        handing_over.looked_at_proxy(holder.pem + holder.key_pem("x"), "f")


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def token(claims: object, header: object = None) -> str:
    return f"{part({'alg': 'RS256'} if header is None else header)}.{part(claims)}.c2ln"


GOOD = token({"sub": "alice"})


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace(".", ""),
        GOOD.rpartition(".")[0],
        f"{GOOD}.more",
        ".".join(reversed(GOOD.split("."))),
        "..",
        ".." + GOOD,
        token([1, 2]),
        token("text"),
        token(None),
        token({"sub": "a"}, []),
        token({"sub": "a"}, {}),
        GOOD + "\0",
        "\ud800.\ud800.\ud800",
        f"{part({'alg': 'RS256'})}.{base64.urlsafe_b64encode(b'[' * 60_000).decode()}.c2ln",
    ],
)
def test_a_token_with_too_few_or_too_many_dots_is_opaque_or_read(text: str) -> None:
    found = tokens.decode(text)
    assert found is None or found.subject in ("alice", "a")


def test_a_token_without_a_signature_is_shown_as_such() -> None:
    unsigned = f"{part({'alg': 'none'})}.{part({'sub': 'alice'})}."
    found = tokens.decode(unsigned)
    assert found is not None
    assert found.algorithm == "none"


@pytest.mark.parametrize(
    ("exp", "known"),
    [
        *(
            (each, False)
            for each in ("soon", "1795340000", 1e300, -1e300, 10**400, True, None, [], float("nan"), float("inf"), 253402300800)
        ),
        *((each, True) for each in (-1, 0, 1795340000.5, 253402300799)),
    ],
)
def test_absurd_times_are_no_times(exp: Any, known: bool) -> None:
    found = tokens.decode(token({"sub": "alice", "exp": exp, "nbf": exp, "iat": exp}))
    assert found is not None
    assert (found.expires is not None) is known
    assert (found.not_before is not None) is known


def test_twenty_kilobytes_of_scopes() -> None:
    scopes = [f"storage.read:/data/{number:05d}" for number in range(900)]
    assert len(" ".join(scopes)) > 20_000
    found = tokens.decode(token({"sub": "alice", "scope": " ".join(scopes)}))
    assert found is not None
    assert found.scopes == tuple(scopes)
    listed = tokens.decode(token({"sub": "alice", "scope": scopes, "aud": {"x": 1}, "wlcg.groups": 7}))
    assert listed is not None
    assert (len(listed.scopes), listed.audience, listed.groups) == (900, (), ())


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=6,
)
CLAIMS = ["sub", "iss", "aud", "scope", "exp", "nbf", "iat", "wlcg.groups", "groups", "client_id", "azp", "wlcg.ver"]


@given(st.dictionaries(st.sampled_from(CLAIMS), ANYTHING), ANYTHING)
def test_any_claims_and_any_header(claims: dict[str, Any], header: Any) -> None:
    found = tokens.decode(token(claims, header))
    assert found is None or all(isinstance(each, str) for each in (*found.scopes, *found.audience, *found.groups, found.subject))


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    assert tokens.decode(text) is None or "." in text
