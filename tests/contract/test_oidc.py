"""Log-in at an OpenID provider and refresh, with a provider that is slow, down, odd or unwilling."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from qostui.adapters import keyring_, oidc
from qostui.domain.errors import ConnectionProblem, CredentialProblem, Problem, ServerProblem, UsageProblem
from qostui.domain.profile import Profile, Secret
from qostui.services.feeds import Cancel, Cancelled
from qostui.services.lanes import Lane
from qostui.services.ports_credentials import DeviceCode

from . import fake_provider
from .fake_provider import FakeProvider, jwt
from .fake_web import Said


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with fake_provider.provider() as made:
        yield made


def profile(provider: FakeProvider, **more: Any) -> Profile:
    return Profile("p", "https://rucio.example.org", "alice", "oidc", **{"issuer": provider.issuer, "client_id": "qostui"} | more)


class Pauses:
    """Waiting that takes no time and is written down."""

    def __init__(self, then: Callable[[int], None] = lambda count: None) -> None:
        self.seconds: list[float] = []
        self._then = then

    def __call__(self, seconds: float, cancel: Cancel) -> None:
        self.seconds.append(seconds)
        self._then(len(self.seconds))


def log_in(provider: FakeProvider, pauses: Pauses | None = None, **more: Any) -> tuple[oidc.Granted, DeviceCode]:
    shown: list[DeviceCode] = []
    granted = oidc.Provider(profile(provider, **more), pauses or Pauses()).log_in(shown.append, Lane("t"))
    (code,) = shown
    return granted, code


def test_the_device_flow(provider: FakeProvider) -> None:
    provider.errors = ["authorization_pending", "slow_down", "authorization_pending"]
    pauses = Pauses()
    granted, code = log_in(provider, pauses, audience="rucio")
    assert (code.code, code.address) == ("ABCD-EFGH", f"{provider.web.address}/enter")
    assert code.whole_address.endswith("?user_code=ABCD-EFGH")
    assert pauses.seconds == [5, 5, 10, 10]
    assert granted.refresh is not None
    assert granted.refresh.reveal() == "refresh-1"
    assert granted.expires is not None
    assert granted.audience == ("rucio",)
    (asked,) = provider.web.of("/device")
    assert asked.form == {"scope": oidc.DEFAULT_SCOPE, "audience": "rucio", "client_id": "qostui"}
    # The lake's provider, as others, hears the audience at the token endpoint only.
    assert {each.form["audience"] for each in provider.web.of("/token")} == {"rucio"}
    assert "Authorization" not in asked.headers


def test_a_client_with_a_secret_shows_it_in_the_header_only(provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring_, "get", lambda name: Secret("s3/cr:et") if name == "client" else None)
    log_in(provider, client_secret_keyring="client")
    for each in [*provider.web.of("/device"), *provider.web.of("/token")]:
        assert each.headers["Authorization"] == "Basic cW9zdHVpOnMzJTJGY3IlM0FldA=="
        assert b"s3" not in each.body
        assert "client_id" not in each.form


@pytest.mark.parametrize(
    ("error", "says"),
    [
        ("access_denied", "refused in the browser"),
        ("expired_token", "in time"),
        ("invalid_grant", "in time"),
        ("invalid_client", "client is not accepted"),
        ("\x1b[31mnew_error", "refuses"),
    ],
)
def test_a_refusal_ends_the_log_in(provider: FakeProvider, error: str, says: str) -> None:
    provider.errors = ["authorization_pending", error]
    with pytest.raises(CredentialProblem, match=says) as caught:
        log_in(provider)
    assert caught.value.step
    assert "\x1b" not in caught.value.summary + caught.value.detail


def test_a_provider_that_never_grants_is_given_up(provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    provider.errors = ["authorization_pending"] * 1000
    provider.device = {"expires_in": 40, "interval": 5}
    clock = [0.0]
    monkeypatch.setattr(oidc.time, "monotonic", lambda: clock[0])
    pauses = Pauses(lambda count: clock.__setitem__(0, count * 5.0))
    with pytest.raises(CredentialProblem, match="nobody allowed"):
        log_in(provider, pauses)
    assert len(pauses.seconds) == 8


def test_a_provider_that_falls_down_meanwhile_is_asked_less_often(provider: FakeProvider) -> None:
    provider.errors = [Said(b"<html>down", 503, "text/html"), Said({"error": "server_error"}, 500), "authorization_pending"]
    pauses = Pauses()
    granted, _ = log_in(provider, pauses)
    assert granted.token.reveal()
    assert pauses.seconds == [5, 10, 20, 20]


def test_cancelling_ends_the_waiting_at_once(provider: FakeProvider) -> None:
    provider.errors = ["authorization_pending"] * 1000
    lane, told, ended = Lane("t"), threading.Event(), []

    def work() -> None:
        try:
            oidc.Provider(profile(provider)).log_in(lambda code: told.set(), lane)
        except Cancelled:
            ended.append("cancelled")

    thread = threading.Thread(target=work)
    thread.start()
    assert told.wait(10)
    lane.cancel()
    thread.join(4.5)
    assert ended == ["cancelled"]
    assert provider.web.of("/token") == []


def test_cancelling_breaks_a_hanging_call_off(provider: FakeProvider) -> None:
    reached, free = threading.Event(), threading.Event()

    def hangs(handler: BaseHTTPRequestHandler) -> None:
        reached.set()
        free.wait(20)

    provider.web.answers["/device"] = lambda heard: Said(raw=hangs)
    lane, ended = Lane("t"), []

    def work() -> None:
        try:
            oidc.Provider(profile(provider)).log_in(lambda code: None, lane)
        except Cancelled:
            ended.append("cancelled")

    thread = threading.Thread(target=work)
    thread.start()
    assert reached.wait(10)
    lane.cancel()
    thread.join(10)
    free.set()
    assert ended == ["cancelled"]


@pytest.mark.parametrize(
    "odd",
    [
        {"verification_uri": "javascript:alert(1)"},
        {"verification_uri_complete": "file:///etc/passwd"},
        {"verification_uri": None},
        {"user_code": ""},
        {"device_code": ""},
        {"verification_uri": "https://x/" + "a" * 3000},
    ],
)
def test_an_odd_device_answer_is_not_shown(provider: FakeProvider, odd: dict[str, Any]) -> None:
    provider.device = odd
    shown: list[DeviceCode] = []
    with pytest.raises(ServerProblem, match="makes no sense"):
        oidc.Provider(profile(provider), Pauses()).log_in(shown.append, Lane("t"))
    assert shown == []


@pytest.mark.parametrize(
    ("interval", "waits"), [(None, 5), (-3, 1), (1e300, 60), ("7", 7), ("soon", 5), (True, 5), ([], 5), (10**400, 5), (0, 1)]
)
def test_an_odd_interval_is_put_right(provider: FakeProvider, interval: Any, waits: float) -> None:
    provider.device = {"interval": interval}
    pauses = Pauses()
    log_in(provider, pauses)
    assert pauses.seconds == [waits]


def test_hostile_text_is_shown_harmless(provider: FakeProvider) -> None:
    provider.device = {"user_code": "AB\x1b[2J\u202eCD"}
    _, code = log_in(provider)
    assert code.code == r"AB\x1b[2J\u202eCD"


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"issuer": "https://elsewhere.example.org"}, "names itself"),
        ({"issuer": None}, "names itself"),
        ({"token_endpoint": ""}, "makes no sense"),
        ({"token_endpoint": "ftp://x/"}, "makes no sense"),
    ],
)
def test_a_provider_that_is_somebody_else_hears_nothing(provider: FakeProvider, metadata: dict[str, Any], says: str) -> None:
    provider.metadata = metadata
    with pytest.raises(ServerProblem, match=says):
        oidc.Provider(profile(provider)).refresh(Secret("first"))
    assert provider.exchanges == 0


def test_the_issuer_is_spelled_as_it_names_itself(provider: FakeProvider) -> None:
    with pytest.raises(ServerProblem, match="names itself") as caught:
        oidc.Provider(profile(provider, issuer=provider.issuer.rstrip("/"))).refresh(Secret("first"))
    assert "final slash" in caught.value.step


def test_a_profile_without_a_provider_says_what_is_missing(provider: FakeProvider) -> None:
    for lacking in ({"issuer": ""}, {"client_id": ""}):
        with pytest.raises(UsageProblem, match="no OpenID provider"):
            oidc.Provider(profile(provider, **lacking))


@pytest.mark.parametrize(
    "answer",
    [
        Said(b"<!doctype html><html>Please log in", 200, "text/html"),
        Said(b"x" * 20_000, 500, "text/plain"),
        Said({"error": "server_error", "error_description": "y" * 20_000}, 500),
        Said(b"[" * 100_000, 200),
        Said(b"z" * (oidc.MAX_BYTES + 1), 200),
        Said(b"null", 200),
        Said({"access_token": 7}, 200),
        Said({"access_token": "two words"}, 200),
        Said({"access_token": "a\nb"}, 200),
        Said({"access_token": "good", "token_type": "mac"}, 200),
        Said({}, 200),
    ],
)
def test_nonsense_is_one_short_line(provider: FakeProvider, answer: Said) -> None:
    provider.errors = [answer]
    with pytest.raises(Problem) as caught:
        oidc.Provider(profile(provider)).refresh(Secret("first"))
    assert len(caught.value.summary) < 300
    assert len(caught.value.detail) < 2100
    assert caught.value.step
    assert provider.refresh == {"first"}


def test_an_answer_that_trickles_is_broken_off(provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oidc, "ANSWER_S", 0.5)
    gone = threading.Event()

    def trickles(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b" ")
                handler.wfile.flush()
                time.sleep(0.05)
        except OSError:
            gone.set()

    provider.errors = [Said(raw=trickles)]
    with pytest.raises(ConnectionProblem):
        oidc.Provider(profile(provider)).refresh(Secret("first"))
    assert gone.wait(10)


def test_a_provider_without_tls_is_taken_on_this_machine_only(provider: FakeProvider) -> None:
    with pytest.raises(UsageProblem, match="unprotected"):
        oidc.Provider(profile(provider, issuer="http://op.example.org/")).refresh(Secret("first"))
    provider.metadata = {"token_endpoint": "http://op.example.org/token"}
    with pytest.raises(ServerProblem, match="without https"):
        oidc.Provider(profile(provider)).refresh(Secret("first"))


def test_a_provider_that_repeats_what_it_was_sent_does_not_show_it(provider: FakeProvider) -> None:
    provider.errors = [Said({"error": "invalid_grant", "error_description": "token first-and-secret is gone"}, 400)]
    with pytest.raises(CredentialProblem) as caught:
        oidc.Provider(profile(provider)).refresh(Secret("first-and-secret"))
    assert "is gone" in caught.value.detail
    assert "first-and-secret" not in caught.value.detail


def test_nobody_there(provider: FakeProvider) -> None:
    with pytest.raises(ConnectionProblem) as caught:
        oidc.Provider(profile(provider, issuer="http://127.0.0.1:1/")).refresh(Secret("first"))
    assert "127.0.0.1:1" in caught.value.summary


def test_refresh_asks_for_what_is_wanted(provider: FakeProvider) -> None:
    granted = oidc.Provider(profile(provider, audience="usual")).refresh(Secret("first"), "storage.read:/x", "https://door")
    (asked,) = provider.web.of("/token")
    wanted = {"grant_type": "refresh_token", "refresh_token": "first", "scope": "storage.read:/x", "audience": "https://door"}
    assert asked.form == wanted | {"client_id": "qostui"}
    assert (granted.scope, granted.audience) == ("storage.read:/x", ("https://door",))


@pytest.mark.parametrize(("expires_in", "has"), [(None, False), ("600", True), (1e400, True), ("x", False), (-5, True)])
def test_the_end_of_a_token(provider: FakeProvider, expires_in: Any, has: bool) -> None:
    provider.gives = {"expires_in": expires_in if expires_in != float("inf") else json.loads("1e308"), "access_token": "opaque-token"}
    granted = oidc.Provider(profile(provider)).refresh(Secret("first"))
    assert (granted.expires is not None) is has


def test_a_token_says_its_end_itself_where_the_answer_does_not(provider: FakeProvider) -> None:
    provider.gives = {"expires_in": None, "scope": None, "access_token": jwt(exp=2_000_000_000, scope="a b")}
    granted = oidc.Provider(profile(provider)).refresh(Secret("first"))
    assert granted.expires is not None
    assert granted.expires.timestamp() == 2_000_000_000
    assert granted.scope == "a b"


def test_a_revoked_refresh_token_says_log_in_again(provider: FakeProvider) -> None:
    with pytest.raises(CredentialProblem, match="not accepted any more") as caught:
        oidc.Provider(profile(provider)).refresh(Secret("gone"))
    assert caught.value.step == "log in again"
    assert "gone" not in caught.value.summary + caught.value.detail


def test_a_provider_sends_us_nowhere_else(provider: FakeProvider) -> None:
    with fake_provider.provider() as other:
        provider.errors = [Said(b"", 307, headers={"Location": f"{other.web.address}/token"})]
        with pytest.raises(ServerProblem, match="sends us on"):
            oidc.Provider(profile(provider)).refresh(Secret("first"))
        assert other.web.heard == []


def test_revocation(provider: FakeProvider) -> None:
    assert oidc.Provider(profile(provider)).revoke(Secret("first"))
    (asked,) = provider.web.of("/revoke")
    assert asked.form == {"token": "first", "token_type_hint": "refresh_token", "client_id": "qostui"}
    provider.metadata = {"revocation_endpoint": None}
    assert not oidc.Provider(profile(provider)).revoke(Secret("first"))
