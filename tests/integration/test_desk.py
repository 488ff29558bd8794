"""The desk on the real lake: each credential is made, shown to who is to take it, renewed and dropped."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from keyrings.cryptfile.cryptfile import CryptFileKeyring

from qostui.adapters import bearers, environment, keyring_, oidc, oidc_agent, own_places, x509
from qostui.adapters.backend import RucioBackend
from qostui.adapters.desk import CredentialDesk
from qostui.config import Settings
from qostui.domain.errors import ConnectionProblem, CredentialProblem
from qostui.domain.profile import Profile, Secret
from qostui.lake.inside import topology
from qostui.lake.inside.state import issuer, storage_audience, url
from qostui.services.lanes import Lane
from qostui.services.ports_credentials import DeviceCode
from tests.integration import test_clients
from tests.integration.approval import approve
from tests.integration.test_clients import Shell, connect, seeded, status, whoami
from tests.lakes import Lake

pytestmark = pytest.mark.lake
shell, agent = test_clients.shell, test_clients.agent
"""Fixtures: alice's shell, and one with an oidc-agent of its own."""

PHRASE = Secret("correct horse")
STORAGE = "storage.read:/escape"
SCOPE = "openid profile offline_access wlcg storage.read:/"


@pytest.fixture(autouse=True)
def keyring(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(CryptFileKeyring, "time_cost", 1)
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    keyring_.close()
    yield
    keyring_.close()


@pytest.fixture
def profile(lake: Lake) -> Profile:
    """What all profiles of the lake have in common."""
    rucio = url(lake.facts, "rucio")
    return Profile("here", rucio, "ops", "x509_proxy", ca=lake.state.ca, ca_path=lake.state.certificates, fts=url(lake.facts, "fts"))


@pytest.fixture
def by_token(lake: Lake, profile: Profile) -> Profile:
    more = {"issuer": issuer(lake.facts), "client_id": "qostui", "scope": SCOPE, "audience": topology.RUCIO_AUDIENCE}
    return replace(profile, account="alice", auth="oidc", **more)  # type: ignore[arg-type]


class Here:
    """A console's backend and desk for one profile."""

    def __init__(self, profile: Profile, place: Path) -> None:
        self.profile = profile
        self.settings = Settings(state_dir=place / "state", runtime_dir=place / "run")
        self.backend = RucioBackend(profile, self.settings)
        found = self.backend.desk()
        assert isinstance(found, CredentialDesk)
        self.desk = found

    def account(self) -> str:
        """Who Rucio says we are; raises Problem."""
        rows = [row for batch in self.backend.source("credentials").full(Lane("t")) for row in batch]
        (session,) = [row for row in rows if row.kind == "Rucio session" and not row.problem]
        return str(session.subject)

    def token(self) -> str:
        return bearers.current(self.profile, self.settings.runtime_dir).reveal()


def person(lake: Lake, profile: Profile, name: str = "alice") -> Profile:
    return replace(profile, certificate=lake.state.user_cert(name), key=lake.state.user_key(name))


def allowing(lake: Lake, login: str = "alice") -> Any:
    """What a person does who is told a code."""
    password = (lake.state.client / f"{login}.idp-password").read_text().strip()

    def told(code: DeviceCode) -> None:
        end = approve(code.whole_address, ca=lake.state.ca, login=login, password=password)
        assert "Access is allowed" in end

    return told


def logged_in(lake: Lake, profile: Profile, place: Path) -> Here:
    here = Here(profile, place)
    here.desk.open_keyring(PHRASE)
    said = here.desk.log_in(allowing(lake), Lane("t"))
    assert "logged in as alice" in said
    assert "run only" not in said
    return here


# Proxies


def test_a_proxy_made_here_logs_in_and_its_end_ends_the_session(lake: Lake, profile: Profile, tmp_path: Path) -> None:
    here = Here(person(lake, profile), tmp_path)
    with pytest.raises(CredentialProblem, match="no such file"):
        here.account()
    here.desk.make_proxy(None, 1)
    assert here.account() == "ops"
    (kept,) = (here.settings.runtime_dir / "here").glob("token-*")
    here.desk.drop("2 proxy")
    assert not kept.exists()
    with pytest.raises(CredentialProblem, match="no such file"):
        here.account()


def test_a_key_with_a_pass_phrase(lake: Lake, profile: Profile, tmp_path: Path) -> None:
    key = serialization.load_pem_private_key(lake.state.user_key("alice").read_bytes(), None)
    encrypted = tmp_path / "alice.key"
    form = serialization.PrivateFormat.PKCS8
    encrypted.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.BestAvailableEncryption(b"s3cret")))
    encrypted.chmod(0o600)
    here = Here(replace(person(lake, profile), key=encrypted), tmp_path)
    assert here.desk.key_is_encrypted()
    with pytest.raises(CredentialProblem, match="does not open the key"):
        here.desk.make_proxy(Secret("wrong"), 1)
    here.desk.make_proxy(Secret("s3cret"), 1)
    assert here.account() == "ops"


def test_grid_tools_take_our_proxy(lake: Lake, profile: Profile, shell: Shell, tmp_path: Path) -> None:
    here = Here(person(lake, profile), tmp_path)
    here.desk.make_proxy(None, 2)
    proxy = str(own_places.proxy(here.profile, here.settings.runtime_dir))
    ours = shell.having(X509_USER_PROXY=proxy)
    assert ours.run("grid-proxy-info", "-type").strip() == "RFC 3820 compliant impersonation proxy"
    assert ours.run("voms-proxy-info", "-identity").strip() == topology.distinguished_name("alice")
    copy = seeded(lake, "GSI-ROOT", "root")
    assert f"{copy.size}" in ours.run("xrdfs", copy.origin, "stat", copy.path)


def test_a_voms_proxy_comes_from_the_program_and_is_looked_at(
    lake: Lake, profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "voms-proxy-init"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\nwhile [ $# -gt 0 ]; do [ "$1" = -out ] && out=$2; shift; done\numask 077\ncat {lake.state.proxy("alice")} > $out\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    here = Here(replace(person(lake, profile), voms="escape:/escape/qos/Role=operator"), tmp_path)
    command, variables = here.desk.voms_command()
    done = subprocess.run(list(command), env=variables, check=False)
    assert "VOMS attributes until" in here.desk.check_proxy(done.returncode)
    assert here.account() == "ops"
    other = Here(replace(person(lake, profile), name="other", voms="escape:/escape/Role=production"), tmp_path)
    command, variables = other.desk.voms_command()
    with pytest.raises(CredentialProblem, match="without /escape/Role=production"):
        other.desk.check_proxy(subprocess.run(list(command), env=variables, check=False).returncode)


def test_a_proxy_of_the_lake_is_taken_and_given_out(lake: Lake, profile: Profile, tmp_path: Path) -> None:
    here = Here(profile, tmp_path)
    here.desk.take_file(lake.state.proxy("alice"))
    assert here.account() == "ops"
    here.desk.export("2 proxy", tmp_path / "out.pem")
    assert (tmp_path / "out.pem").read_bytes() == lake.state.proxy("alice").read_bytes()


# Tokens


def test_device_flow_refresh_and_drop(lake: Lake, by_token: Profile, tmp_path: Path) -> None:
    here = logged_in(lake, by_token, tmp_path)
    assert here.account() == "alice"
    first = here.token()
    assert "refreshed" in here.desk.refresh()
    assert here.token() != first
    assert here.account() == "alice"
    # Another run of the console: the tokens are there, and the refresh token once the keyring is open.
    again = Here(by_token, tmp_path)
    assert again.account() == "alice"
    keyring_.close()
    assert again.desk.needs_pass_phrase()
    with pytest.raises(CredentialProblem, match="does not open"):
        again.desk.open_keyring(Secret("wrong"))
    again.desk.open_keyring(PHRASE)
    again.desk.refresh()
    assert again.account() == "alice"
    last = keyring_.newest(again.desk._vault.refresh_name)
    assert "revoked at the provider" in again.desk.drop("4 token")
    with pytest.raises(CredentialProblem, match="not logged in"):
        again.account()
    with pytest.raises(CredentialProblem, match="not accepted any more") as caught:
        oidc.Provider(by_token).refresh(last)
    assert caught.value.step == "log in again"


def test_somebody_who_says_no(lake: Lake, by_token: Profile, tmp_path: Path) -> None:
    here = Here(by_token, tmp_path)
    with pytest.raises(CredentialProblem, match="a scope is not granted"):
        Here(replace(by_token, scope="no-such-scope"), tmp_path).desk.log_in(lambda code: None, Lane("t"))
    with pytest.raises(CredentialProblem, match="client is not accepted"):
        Here(replace(by_token, client_id="nobody"), tmp_path).desk.log_in(lambda code: None, Lane("t"))
    with pytest.raises(CredentialProblem, match=r"no refresh token|no keyring"):
        here.desk.refresh()


def test_two_consoles_refresh_the_same_token_once(lake: Lake, by_token: Profile, tmp_path: Path) -> None:
    here = logged_in(lake, by_token, tmp_path)
    seen = here.token()
    code = (
        "import sys, json\nfrom pathlib import Path\n"
        "from keyrings.cryptfile.cryptfile import CryptFileKeyring as K\nK.time_cost = 1\n"
        "from qostui.adapters import keyring_\nfrom qostui.adapters.vault import Vault\n"
        "from qostui.domain.profile import Profile, Secret\n"
        "given = json.loads(sys.argv[1])\ngiven['ca'] = Path(given['ca'])\nrun, state = map(Path, sys.argv[2:4])\n"
        "vault = Vault(Profile(**given), run, state)\nkeyring_.open_file(vault.keyring_file, Secret('correct horse'))\n"
        "print(vault.refresh(sys.stdin.readline().strip()).token.reveal())\n"
    )
    wanted = ("name", "rucio_host", "account", "auth", "issuer", "client_id", "scope", "audience")
    given = {name: getattr(by_token, name) for name in wanted} | {"ca": str(by_token.ca)}
    arguments = [sys.executable, "-c", code, json.dumps(given), str(here.settings.runtime_dir), str(here.settings.state_dir)]
    running = [subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for each in running:
        assert each.stdin is not None
        each.stdin.write(f"{seen}\n")
        each.stdin.flush()
    said = [each.communicate(timeout=60)[0].strip() for each in running]
    assert said[0] == said[1]
    assert said[0] not in ("", seen)
    # Were both exchanged, the provider would have ended the family at the second.
    here.desk.refresh()
    assert here.account() == "alice"


def test_narrower_tokens_are_taken_where_they_should_be_only(lake: Lake, by_token: Profile, tmp_path: Path, shell: Shell) -> None:
    here = logged_in(lake, by_token, tmp_path)
    gsi, desy = seeded(lake, "GSI-ROOT", "davs"), seeded(lake, "DESY-DCACHE", "davs")
    audience = storage_audience(lake.facts, topology.server("gsi-root"))
    token = here.desk.narrow(STORAGE, audience).read_text().strip()
    assert (status(shell, token, gsi), status(shell, token, desy)) == ("200", "403")
    elsewhere = here.desk.narrow(f"{STORAGE}/nothing", audience).read_text().strip()
    assert status(shell, elsewhere, gsi) == "403"
    assert "CannotAuthenticate" in whoami(shell, token)
    with pytest.raises(CredentialProblem, match="a scope is not granted"):
        here.desk.narrow("storage.modify:/", audience)
    # None of it touched the log-in.
    assert here.account() == "alice"
    here.desk.refresh()
    assert here.account() == "alice"


def test_a_token_of_a_file_is_taken(lake: Lake, by_token: Profile, tmp_path: Path) -> None:
    here = Here(by_token, tmp_path)
    assert "token kept" in here.desk.take_file(lake.state.token_file("alice"))
    assert here.token() == lake.state.token_file("alice").read_text().strip()


# oidc-agent


def test_oidc_agent_serves_a_profile(
    lake: Lake,
    by_token: Profile,
    agent: Shell,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect(lake, agent)
    monkeypatch.setattr(environment, "_agent", [agent.variables["OIDC_SOCK"]])
    monkeypatch.setattr(oidc_agent, "_known", {})
    here = Here(replace(by_token, oidc_agent="lake", issuer="", client_id="", scope="openid profile"), tmp_path)
    assert here.desk.needs_pass_phrase() == ""
    assert here.account() == "alice"
    first = here.token()
    assert here.token() == first
    assert "token from oidc-agent" in here.desk.refresh()
    copy = seeded(lake, "GSI-ROOT", "davs")
    audience = storage_audience(lake.facts, topology.server("gsi-root"))
    assert status(agent, here.desk.narrow(STORAGE, audience).read_text().strip(), copy) == "200"
    with pytest.raises(CredentialProblem, match="invalid_scope"):
        here.desk.narrow("storage.modify:/", audience)
    with pytest.raises(CredentialProblem, match="oidc-agent has no account 'other'"):
        oidc_agent.ask("other")
    with pytest.raises(CredentialProblem, match="oidc-agent's"):
        here.desk.drop("4 token")


# Storage and FTS


def test_a_macaroon_opens_one_path_for_reading(lake: Lake, profile: Profile, tmp_path: Path, shell: Shell) -> None:
    copy = seeded(lake, "GSI-ROOT", "davs")
    here = Here(replace(profile, proxy=lake.state.proxy("alice")), tmp_path)
    macaroon = here.desk.macaroon(copy.pfn, ("DOWNLOAD", "LIST", "READ_METADATA"), 10).read_text().strip()
    assert status(shell, macaroon, copy) == "200"
    sibling = copy.sibling().replace("davs://", "https://", 1)
    trusting = ("curl", "--silent", "--show-error", "--cacert", shell.variables["QOSTUI_LAKE_CA"], "--header", "@-")
    sending = (*trusting, "--upload-file", "/etc/hostname", "--output", "/dev/null", "--write-out", "%{http_code}", sibling)
    written = shell.run(*sending, text=f"Authorization: Bearer {macaroon}\n")
    assert written == "403"
    assert status(shell, macaroon, replace(copy, pfn=copy.sibling())) == "403"
    # The lake's doors want VOMS attributes.
    with pytest.raises(ConnectionProblem) as caught:
        Here(person(lake, replace(profile, name="plain")), tmp_path).desk.macaroon(copy.pfn, ("DOWNLOAD",), 10)
    assert "VOMS" in caught.value.step


@pytest.mark.parametrize("plain", [False, True])
def test_delegation_to_fts(lake: Lake, profile: Profile, tmp_path: Path, plain: bool) -> None:
    mine = person(lake, profile)
    here = Here(mine if plain else replace(mine, proxy=lake.state.proxy("alice")), tmp_path)
    if plain:
        here.desk.make_proxy(None, 3)
        ends = datetime.now(UTC) + timedelta(hours=3)
    else:
        ends = x509.read(lake.state.proxy("alice"), "p", secret=True).expires
    assert abs(here.desk.delegate() - ends) < timedelta(minutes=2)
