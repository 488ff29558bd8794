"""Tokens that the console got itself: kept where they belong, refreshed by one console for all, never lost by our doing."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from keyrings.cryptfile.cryptfile import CryptFileKeyring

from qostui.adapters import bearers, keyring_, rucio_session, vault
from qostui.adapters.backend import RucioBackend
from qostui.adapters.desk import CredentialDesk
from qostui.adapters.oidc import Granted
from qostui.adapters.vault import Vault
from qostui.config import Settings
from qostui.domain.errors import CredentialProblem, Problem
from qostui.domain.profile import Profile, Secret
from qostui.services.lanes import Lane

from . import fake_provider, fake_rucio
from .fake_provider import FakeProvider
from .fake_web import Said

PHRASE = Secret("correct horse")


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with fake_provider.provider() as made:
        yield made


@pytest.fixture(autouse=True)
def cheap_keyring(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(CryptFileKeyring, "time_cost", 1)
    monkeypatch.setattr(CryptFileKeyring, "memory_cost", 8 * 1024)
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.setattr(vault, "_resting", {})
    monkeypatch.setattr(vault, "_replaced", {})
    keyring_.close()
    yield
    keyring_.close()


@pytest.fixture
def profile(provider: FakeProvider) -> Profile:
    return Profile("p", "https://rucio.example.org", "alice", "oidc", issuer=provider.issuer, client_id="qostui")


@pytest.fixture
def kept(profile: Profile, settings: Settings) -> Vault:
    """A vault with an open keyring and the refresh token `first`."""
    found = Vault(profile, settings.runtime_dir, settings.state_dir)
    keyring_.open_file(found.keyring_file, PHRASE)
    keyring_.put(found.refresh_name, Secret("first"))
    return found


def in_(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def aged(found: Vault, left: float) -> None:
    """Make the access token one that was given an hour before its end."""
    document = json.loads(found.access_file.read_text())
    document |= {"expires": in_(left).isoformat(), "made": in_(left - 3600).isoformat()}
    found.access_file.write_text(json.dumps(document))


def test_the_names_are_bound_to_all_that_a_token_is_for(profile: Profile, tmp_path: Path) -> None:
    others = [
        replace(profile, issuer="https://other/"),
        replace(profile, client_id="other"),
        replace(profile, account="bob"),
        replace(profile, rucio_host="https://rucio.example.org:8443"),
    ]
    names = {Vault(each, tmp_path, tmp_path).refresh_name for each in (profile, *others)}
    assert len(names) == 5
    assert Vault(replace(profile, name="q"), tmp_path, tmp_path).refresh_name == Vault(profile, tmp_path, tmp_path).refresh_name
    files = {Vault(each, tmp_path, tmp_path).access_file for each in (profile, *others, replace(profile, audience="x"))}
    assert len(files) == 6


def test_a_log_in_is_kept_privately_and_read_without_asking_anybody(kept: Vault, provider: FakeProvider) -> None:
    kept.take(Granted(Secret("tok-1"), in_(3600), Secret("ref-1"), "openid", ()))
    assert kept.note == ""
    assert kept.current().reveal() == "tok-1"
    assert stat.S_IMODE(kept.access_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.access_file.parent.stat().st_mode) == 0o700
    assert keyring_.newest(kept.refresh_name).reveal() == "ref-1"
    everything = b"".join(each.read_bytes() for each in kept.access_file.parent.parent.rglob("*") if each.is_file())
    assert b"ref-1" not in everything
    assert provider.web.heard == []


def test_refresh_rotates_and_keeps_the_new_refresh_token(kept: Vault, provider: FakeProvider) -> None:
    for number in (1, 2, 3):
        made = kept.refresh(kept.current().reveal() if number > 1 else "")
        assert kept.current().reveal() == made.token.reveal()
        assert keyring_.newest(kept.refresh_name).reveal() == f"refresh-{number}"
    assert provider.exchanges == 3
    assert provider.used == {"first", "refresh-1", "refresh-2"}


def test_a_provider_that_does_not_rotate(kept: Vault, provider: FakeProvider) -> None:
    provider.gives = {"refresh_token": None}
    kept.refresh()
    assert keyring_.newest(kept.refresh_name).reveal() == "first"


def test_one_of_many_threads_asks_and_the_others_read(kept: Vault, provider: FakeProvider, profile: Profile, settings: Settings) -> None:
    found: list[str] = []

    def work() -> None:
        found.append(Vault(profile, settings.runtime_dir, settings.state_dir).refresh("seen by all").token.reveal())

    threads = [threading.Thread(target=work) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert len(found) == 6
    assert len(set(found)) == 1
    assert provider.exchanges == 1


CONSOLE = """
import sys
from pathlib import Path
from keyrings.cryptfile.cryptfile import CryptFileKeyring as K
K.time_cost, K.memory_cost = 1, 8192
from qostui.adapters import keyring_
from qostui.adapters.vault import Vault
from qostui.domain.profile import Profile, Secret
issuer, runtime, state, seen = sys.argv[1:]
vault = Vault(Profile("p", "https://rucio.example.org", "alice", "oidc", issuer=issuer, client_id="qostui"), Path(runtime), Path(state))
keyring_.open_file(vault.keyring_file, Secret("correct horse"))
print("ready", flush=True)
sys.stdin.readline()
print(vault.refresh(seen).token.reveal())
"""


def test_two_consoles_refreshing_at_once_exchange_once(kept: Vault, provider: FakeProvider, settings: Settings) -> None:
    arguments = (provider.issuer, str(settings.runtime_dir), str(settings.state_dir), "seen by both")
    consoles = [
        subprocess.Popen([sys.executable, "-c", CONSOLE, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for each in consoles:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in consoles:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    said = [each.communicate(timeout=60)[0] for each in consoles]
    assert [each.returncode for each in consoles] == [0, 0]
    assert said[0] == said[1] != ""
    assert provider.exchanges == 1


def test_another_console_s_refresh_token_is_the_one_that_is_shown(kept: Vault, provider: FakeProvider) -> None:
    """What we remember is not trusted: the keyring is looked up again under the lock."""
    keyring_.get(kept.refresh_name)
    provider.refresh = {"newer"}
    other = CryptFileKeyring()
    other.file_path = str(kept.keyring_file)
    other.keyring_key = PHRASE.reveal()
    other.set_password(keyring_.SERVICE, kept.refresh_name, "newer")
    kept.refresh()
    assert provider.used == {"newer"}


def test_no_refresh_token_is_spent_that_cannot_be_replaced(kept: Vault, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: Any) -> Any:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(keyring_, "mkstemp", full)
        with pytest.raises(CredentialProblem, match="No space left"):
            kept.refresh()
    assert provider.exchanges == 0
    kept.refresh()
    assert provider.exchanges == 1


def test_a_refresh_token_that_cannot_be_kept_is_used_in_this_run(
    kept: Vault, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        # Only writing the keyring fails: the access token is small, and there was room for it a moment ago.
        patched.setattr(keyring_.os, "fsync", full)
        with pytest.raises(CredentialProblem):
            keyring_.put(kept.refresh_name, Secret("first"))
    kept.refresh()
    assert kept.note == ""
    assert provider.used == {"first"}
    assert keyring_.newest(kept.refresh_name).reveal() == "refresh-1"


def test_without_a_keyring_the_log_in_lasts_for_the_run(profile: Profile, settings: Settings, provider: FakeProvider) -> None:
    found = Vault(profile, settings.runtime_dir, settings.state_dir)
    found.take(Granted(Secret("tok-1"), in_(3600), Secret("first"), "", ()))
    assert "this run only" in found.note
    found.refresh("tok-1")
    assert provider.used == {"first"}
    keyring_.close()
    with pytest.raises(CredentialProblem, match="no keyring is open"):
        found.refresh(found.current().reveal())


def test_a_revoked_refresh_token_is_said_when_the_token_ends(kept: Vault, provider: FakeProvider) -> None:
    provider.refresh.clear()
    kept.put(Secret("tok-1"), in_(1), "")
    aged(kept, 120)
    kept.ahead()
    kept.ahead()
    assert provider.exchanges == 1
    kept.put(Secret("tok-1"), in_(-1), "")
    with pytest.raises(CredentialProblem, match="not accepted any more") as caught:
        kept.current()
    assert caught.value.step == "log in again"


@pytest.mark.parametrize(("left", "life", "due"), [(3000, 3600, False), (290, 3600, True), (40, 60, False), (14, 60, True), (-5, 60, True)])
def test_when_a_token_is_due(left: float, life: float, due: bool) -> None:
    made = vault.Kept(Secret("t"), in_(left), in_(left - life))
    assert made.due(datetime.now(UTC)) is due
    assert not vault.Kept(Secret("t"), None, in_(0)).due(datetime.now(UTC))
    # A clock that jumped: made in the future.
    assert vault.Kept(Secret("t"), in_(-1), in_(500)).due(datetime.now(UTC))


@pytest.mark.parametrize("trick", ["readable", "link", "garbage", "directory"])
def test_a_planted_access_token_is_not_taken(kept: Vault, tmp_path: Path, trick: str) -> None:
    kept.put(Secret("tok-1"), in_(3600), "")
    planted = json.dumps({"token": "tok-PLANTED", "expires": None, "made": in_(0).isoformat(), "scope": ""})
    if trick == "readable":
        kept.access_file.write_text(planted)
        kept.access_file.chmod(0o644)
    elif trick == "link":
        (tmp_path / "planted").write_text(planted)
        (tmp_path / "planted").chmod(0o600)
        kept.access_file.unlink()
        kept.access_file.symlink_to(tmp_path / "planted")
    elif trick == "garbage":
        kept.access_file.write_bytes(b"\xff{")
    else:
        kept.access_file.parent.chmod(0o755)
    with pytest.raises(CredentialProblem):
        kept.current()


def test_drop_deletes_both_and_tells_the_provider(kept: Vault, provider: FakeProvider) -> None:
    kept.put(Secret("tok-1"), in_(3600), "")
    assert "revoked at the provider" in kept.drop()
    assert [each.form["token"] for each in provider.web.of("/revoke")] == ["first"]
    assert keyring_.find(kept.refresh_name) is None
    assert not kept.access_file.exists()
    with pytest.raises(CredentialProblem, match="not logged in"):
        kept.current()


def test_drop_deletes_even_when_the_provider_is_down(kept: Vault, provider: FakeProvider) -> None:
    provider.web.answers["/revoke"] = lambda heard: Said(b"<html>", 503, "text/html")
    assert "could not be told" in kept.drop()
    assert keyring_.find(kept.refresh_name) is None


# The whole way: the desk logs in, Rucio is asked with the token, which is renewed meanwhile


@pytest.fixture
def backend(profile: Profile, fake: fake_rucio.FakeRucio, settings: Settings) -> Iterator[RucioBackend]:
    made = RucioBackend(replace(profile, rucio_host=fake.address), settings)
    yield made
    made.close()


def read(backend: RucioBackend) -> list[Any]:
    return [row for batch in backend.source("rules").full(Lane("t")) for row in batch]


def desk(backend: RucioBackend, monkeypatch: pytest.MonkeyPatch) -> CredentialDesk:
    monkeypatch.setattr("qostui.adapters.oidc._pause", lambda seconds, cancel: None)
    found = backend.desk()
    assert isinstance(found, CredentialDesk)
    return found


def test_log_in_then_rucio_then_drop(
    backend: RucioBackend, fake: fake_rucio.FakeRucio, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CredentialProblem, match="not logged in"):
        read(backend)
    here = desk(backend, monkeypatch)
    assert here.needs_pass_phrase().endswith("secrets.cfg")
    here.open_keyring(PHRASE)
    assert here.needs_pass_phrase() == ""
    said = here.log_in(lambda code: None, Lane("t"))
    assert "as alice" in said
    token = bearers.current(backend._profile, here._runtime_dir).reveal()
    assert token not in said
    fake.good_tokens = {token}
    assert read(backend)
    refreshed = here.refresh()
    assert "refreshed" in refreshed
    fake.good_tokens = {bearers.current(backend._profile, here._runtime_dir).reveal()}
    assert token not in fake.good_tokens
    assert read(backend)
    rows = [row for batch in backend.source("credentials").full(Lane("t")) for row in batch]
    row = [each for each in rows if each.kind == "Access token"][-1]
    assert row.source == f"log-in at 127.0.0.1:{provider.web.port}"
    assert "the Rucio session is ended" in here.drop("4 token")
    with pytest.raises(CredentialProblem, match="not logged in"):
        read(backend)
    assert [each for each in provider.web.heard if each.headers.get("X-Rucio-Auth-Token")] == []
    assert "refresh-" not in str([str(each.headers) for each in fake.asked])


def test_the_token_of_one_rucio_never_goes_to_another(
    backend: RucioBackend,
    fake: fake_rucio.FakeRucio,
    other_origin: fake_rucio.FakeRucio,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
) -> None:
    here = desk(backend, monkeypatch)
    here.open_keyring(PHRASE)
    here.log_in(lambda code: None, Lane("t"))
    elsewhere = RucioBackend(replace(backend._profile, rucio_host=other_origin.address), settings)
    with pytest.raises(CredentialProblem, match="not logged in"):
        read(elsewhere)
    with pytest.raises(CredentialProblem, match="no refresh token"):
        elsewhere.desk().refresh()
    elsewhere.close()
    assert other_origin.asked == []


def test_a_token_is_refreshed_ahead_by_the_call_that_needs_it(
    backend: RucioBackend, fake: fake_rucio.FakeRucio, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = desk(backend, monkeypatch)
    here.open_keyring(PHRASE)
    here.log_in(lambda code: None, Lane("t"))
    monkeypatch.setattr(fake, "good_tokens", Everything())
    read(backend)
    assert provider.exchanges == 0
    kept = here._vault.read()
    assert kept is not None
    aged(here._vault, 120)
    read(backend)
    assert provider.exchanges == 1
    last = [each.headers["X-Rucio-Auth-Token"] for each in fake.asked][-1]
    assert last == here._vault.current().reveal() != kept.token.reveal()


class Everything(set[str]):
    """All tokens are good."""

    def __contains__(self, token: object) -> bool:
        return bool(token)


def test_a_refused_token_is_replaced_once_and_then_said(
    backend: RucioBackend, fake: fake_rucio.FakeRucio, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = desk(backend, monkeypatch)
    here.open_keyring(PHRASE)
    here.log_in(lambda code: None, Lane("t"))
    fake.good_tokens = set()
    for _ in range(3):
        with pytest.raises(CredentialProblem, match="refuses the token"):
            read(backend)
    assert provider.exchanges == 1


def test_a_replaced_token_file_is_taken_by_a_running_console(fake: fake_rucio.FakeRucio, settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("tok-one-of-many-characters\n")
    file.chmod(0o600)
    backend = RucioBackend(Profile("f", fake.address, "alice", "oidc", token_file=file), settings)
    fake.good_tokens = {"tok-one-of-many-characters"}
    assert read(backend)
    file.write_text("tok-two-of-many-characters\n")
    fake.good_tokens = {"tok-two-of-many-characters"}
    assert read(backend)
    backend.close()


def test_narrow_is_checked_before_it_is_handed_out(backend: RucioBackend, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    here = desk(backend, monkeypatch)
    here.open_keyring(PHRASE)
    here.log_in(lambda code: None, Lane("t"))
    file = here.narrow("storage.read:/x", "https://door")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.parent == here._directory
    provider.gives = {"scope": "openid storage.read:/x storage.modify:/"}
    with pytest.raises(CredentialProblem, match=r"more than was asked for: openid storage\.modify:/"):
        here.narrow("storage.read:/x", "")
    provider.gives = {"access_token": fake_provider.jwt(aud="any", scope="storage.read:/x")}
    with pytest.raises(CredentialProblem, match="made a token for any"):
        here.narrow("storage.read:/x", "https://door")
    with pytest.raises(Problem, match="neither scope nor audience"):
        here.narrow(" ", "")
    # Nothing of that cost the log-in.
    provider.gives = {}
    here.refresh()


def test_the_order_of_sources(profile: Profile, settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from-the-file\n")
    file.chmod(0o600)
    runtime = settings.runtime_dir
    Vault(profile, runtime, settings.state_dir).put(Secret("from-the-vault"), None, "")
    assert rucio_session.bearer(profile, runtime).reveal() == "from-the-vault"
    assert bearers.origin_of(replace(profile, oidc_agent="a")) == bearers.AGENT
    both = replace(profile, oidc_agent="a", token_file=file)
    assert rucio_session.bearer(both, runtime).reveal() == "from-the-file"
    assert os.environ.get("OIDC_SOCK") is None
