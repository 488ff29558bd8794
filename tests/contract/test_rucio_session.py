"""Identity isolation: hooks of rucio-clients that we rest on, the token file, and who never gets a token."""

from __future__ import annotations

import inspect
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
from rucio.client.baseclient import BaseClient

from qostui.adapters import environment, rucio_session
from qostui.domain.errors import CredentialProblem
from qostui.domain.profile import Profile
from qostui.services.lanes import Lane
from tests import certificates

from . import fake_rucio
from .conftest import Server
from .fake_rucio import TOKEN, FakeRucio, Reply


def test_the_pinned_client_has_the_hooks_we_override() -> None:
    assert version("rucio-clients") == rucio_session.PINNED
    assert [name for name in rucio_session.HOOKS if not callable(getattr(BaseClient, name, None))] == []
    made = inspect.getsource(BaseClient.__init__)
    assert all(f"self.{name} = " in made for name in ("session", "script_id", "auth_oidc_refresh_active"))


def token_files(server: Server) -> list[Path]:
    return sorted((server.settings.runtime_dir / server.profile.name).glob("token-*"))


def test_the_token_is_kept_privately_and_used_again(fake: FakeRucio, fake_server: Server) -> None:
    fake_server.read("rules")
    (file,) = token_files(fake_server)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert TOKEN in file.read_text()
    fake_server.read("rules")
    assert fake.paths().count("/auth/userpass") == 1


def test_a_refused_token_is_renewed_silently(fake: FakeRucio, fake_server: Server) -> None:
    fake_server.read("rules")
    fake.good_tokens.clear()
    assert fake_server.read("rules")
    assert fake.paths().count("/auth/userpass") == 2


def test_another_server_or_identity_never_gets_the_token(fake: FakeRucio, fake_server: Server, other_origin: FakeRucio) -> None:
    fake_server.read("rules")
    # The same name of profile and account, elsewhere: rucio-clients' own cache would send the first server's token.
    elsewhere = Server(replace(fake_server.profile, rucio_host=other_origin.address), fake_server.settings)
    elsewhere.read("rules")
    first = other_origin.asked[0]
    assert first.path == "/auth/userpass"
    assert first.headers.get("X-Rucio-Auth-Token", "") == ""
    somebody = Server(replace(fake_server.profile, username="somebody"), fake_server.settings)
    before = fake.paths().count("/auth/userpass")
    somebody.read("rules")
    assert fake.paths().count("/auth/userpass") == before + 1
    assert len(token_files(fake_server)) == 3


@pytest.mark.parametrize("trick", ["readable", "link", "directory"])
def test_a_planted_token_is_refused(fake: FakeRucio, fake_server: Server, tmp_path: Path, trick: str) -> None:
    fake_server.read("rules")
    (file,) = token_files(fake_server)
    if trick == "readable":
        file.chmod(0o644)
    elif trick == "link":
        planted = tmp_path / "planted"
        planted.write_text('{"token": "tok-PLANTED", "expires": null}')
        planted.chmod(0o600)
        file.unlink()
        file.symlink_to(planted)
    else:
        file.parent.chmod(0o777)
    with pytest.raises(CredentialProblem):
        fake_server.read("rules")
    assert not [each for each in fake.asked if each.headers.get("X-Rucio-Auth-Token") == "tok-PLANTED"]


def test_a_proxy_that_changes_hands_does_not_speak_for_the_one_before(fake: FakeRucio, fake_server: Server, tmp_path: Path) -> None:
    ca = certificates.authority()
    people = {name: certificates.issued(certificates.name(name), ca) for name in ("alice", "bob")}
    proxy = certificates.written(tmp_path / "proxy.pem", certificates.proxy(people["alice"]))
    asked: list[str] = []

    def log_in(reply: Reply) -> None:
        asked.append(f"token-of-log-in-{len(asked)}")
        fake.good_tokens.add(asked[-1])
        reply.send(200, X_Rucio_Auth_Token=asked[-1], X_Rucio_Auth_Token_Expires=fake_rucio.EXPIRES)

    fake.answers["/auth/x509_proxy"] = log_in
    server = Server(Profile("proxy", fake.address, "ops", "x509_proxy", proxy=proxy), fake_server.settings)
    backend = server.backend()

    def shown(view_id: str) -> str:
        assert [row for batch in backend.source(view_id).full(Lane("t")) for row in batch]
        return fake.asked[-1].headers["X-Rucio-Auth-Token"]

    assert {shown("rules"), shown("rses"), shown("rules")} == {"token-of-log-in-0"}
    # Renewed by the same person: the session goes on, in the next run too.
    certificates.written(proxy, certificates.proxy(people["alice"]))
    assert shown("rules") == "token-of-log-in-0"
    server.read("rules")
    certificates.written(proxy, certificates.proxy(people["bob"]))
    assert {shown("rses"), shown("rules")} == {"token-of-log-in-1"}
    certificates.written(proxy, certificates.proxy(people["alice"]))
    server.read("rules")
    assert fake.asked[-1].headers["X-Rucio-Auth-Token"] == "token-of-log-in-2"
    backend.close()


@contextmanager
def variables(values: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def test_the_environment_does_not_speak_for_a_profile(fake: FakeRucio, fake_server: Server, tmp_path: Path) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text(f"machine 127.0.0.1 login thief password {'x' * 8}\n")
    netrc.chmod(0o600)
    hostile = {
        "BEARER_TOKEN": "eyJ-env", "RUCIO_ACCOUNT": "root", "RUCIO_AUTH_TYPE": "oidc", "RUCIO_HOST": "https://elsewhere.example.org",
        "REQUESTS_CA_BUNDLE": "/nonexistent", "NETRC": str(netrc), "HOME": str(tmp_path), "http_proxy": "http://127.0.0.1:9",
    }  # fmt: skip
    with variables(hostile):
        profile = environment.take()
        assert profile is not None
        assert (profile.account, profile.auth) == ("root", "oidc")
        assert "eyJ-env" not in repr(profile)
        assert not {"BEARER_TOKEN", "RUCIO_ACCOUNT", "REQUESTS_CA_BUNDLE"} & os.environ.keys()
        fake_server.read("rules")
    sent = "\n".join(str(each.headers) for each in fake.asked)
    assert "eyJ-env" not in sent
    assert "Authorization" not in sent
    assert {each.headers["X-Rucio-Account"] for each in fake.asked} == {"ops"}
    assert {each.headers["X-Rucio-Script"] for each in fake.asked} == {"qostui"}


def test_an_oidc_profile_sends_its_own_token_and_never_asks(
    fake: FakeRucio, fake_server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = tmp_path / "token"
    token.write_text("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.\n")
    token.chmod(0o600)
    fake.good_tokens = {token.read_text().strip()}
    server = Server(Profile("oidc", fake.address, "alice", "oidc", token_file=token), fake_server.settings)
    assert server.read("rules")
    assert token_files(server) == []
    fake.good_tokens = set()
    with pytest.raises(CredentialProblem, match="refuses the token"):
        server.read("rules")
    token.chmod(0o644)
    with pytest.raises(CredentialProblem, match="can be read by others"):
        server.read("rules")
    assert capsys.readouterr() == ("", "")
    assert not [path for path in fake.paths() if path.startswith("/auth/oidc")]


def test_missing_credentials_are_said_before_anything_is_sent(fake: FakeRucio, fake_server: Server, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    for profile in (
        Profile("p", fake.address, "ops", "x509_proxy", proxy=gone),
        Profile("p", fake.address, "ops", "x509", certificate=gone, key=gone),
        Profile("p", fake.address, "ops", "userpass", password_file=gone),
        Profile("p", fake.address, "ops", "userpass", password_keyring="none"),
        Profile("p", fake.address, "ops", "oidc"),
    ):
        with pytest.raises(CredentialProblem) as caught:
            Server(profile, fake_server.settings).read("rules")
        assert caught.value.step
    assert [path for path in fake.paths() if path.startswith("/auth")] == []
    assert fake_rucio.TOKEN not in str([str(each.headers) for each in fake.asked])
