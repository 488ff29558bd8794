"""Every door of a healthy lake with every credential: what is told offline is what the doors say, and wrong ones are seen as refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from qostui import config
from qostui.adapters import proofs
from qostui.adapters.backend import RucioBackend
from qostui.adapters.gfal_pools import POOLS
from qostui.domain.access import NO, UNKNOWN, YES, Access, Verdict, attributes_of, verdict
from qostui.domain.credential import Credential, Proof
from qostui.domain.profile import Profile
from qostui.domain.rse import Door, Rse
from qostui.lake.inside import pki, topology
from qostui.lake.inside.state import storage_audience
from qostui.services.feeds import Cancelled
from qostui.services.lanes import Lane
from tests import lakes

TAKEN = {"X.509 proxy": {"davs", "root", "roots", "gsiftp"}, "Access token": {"davs", "roots"}}
"""What a healthy lake's doors take."""
TURNS_TO_TLS = ("GSI-ROOT", "root", "Access token")
"""The root door whose server speaks TLS too: XRootD's client turns to it by itself when it has a token."""


@pytest.fixture(scope="module")
def settings(lake: lakes.Lake, tmp_path_factory: pytest.TempPathFactory) -> config.Settings:
    """The lake's profiles, as `make demo` writes them."""
    file = tmp_path_factory.mktemp("proofs") / "config.toml"
    lake.command("profiles", "--file", str(file))
    return replace(config.load(file, env={}), runtime_dir=file.parent / "run", state_dir=file.parent / "state")


@pytest.fixture(scope="module")
def rses(settings: config.Settings) -> dict[str, Rse]:
    backend = RucioBackend(settings.profiles["lake-operator"], settings)
    try:
        return {rse.name: rse for batch in backend.source("rses").full(Lane("rses")) for rse in batch}
    finally:
        backend.close()


def local(settings: config.Settings, profile: Profile) -> list[Credential]:
    """The credentials of the profile as its pane lists them."""
    backend = RucioBackend(profile, settings)
    try:
        return list(next(iter(backend.source("credentials").full(Lane("credentials")))))
    finally:
        backend.close()


def shown(settings: config.Settings, profile: Profile, kind: str, rse: Rse, scheme: str) -> tuple[Verdict, Proof]:
    """(offline verdict, proof) of one credential of a profile at one door."""
    found = local(settings, profile)
    (credential,) = [each for each in found if each.kind == kind]
    (door,) = [each for each in rse.doors if each.scheme == scheme]
    acs = attributes_of(credential, found)
    told = verdict(rse, door, credential, datetime.now(UTC), attributes=acs)
    return told, proofs.prove(profile, credential, rse, door, Lane("prove"), acs)


@pytest.fixture(scope="module")
def rows(settings: config.Settings, rses: dict[str, Rse]) -> list[Access]:
    """All doors, with alice's proxy and alice's token."""
    found = []
    for name in ("lake-proxy", "lake-token"):
        profile = settings.profiles[name]
        found += list(proofs.prove_all(profile, local(settings, profile), list(rses.values()), Lane("all")))
    return found


def test_every_door_is_tried_with_every_credential(rows: list[Access]) -> None:
    doors = {(rse.name, scheme) for rse in topology.RSES for scheme, _ in rse.doors}
    assert {(row.rse, row.scheme, row.kind) for row in rows} == {(*door, kind) for door in doors for kind in TAKEN}


def test_what_is_told_offline_is_what_the_doors_say(rows: list[Access]) -> None:
    wrong = [row for row in rows if row.live is None or (row.answer != UNKNOWN and row.live.accepted is not (row.answer == YES))]
    assert wrong == []
    assert {row.answer for row in rows} == {YES, NO, UNKNOWN}


def test_the_doors_take_what_they_are_for(rows: list[Access]) -> None:
    taken = {(row.rse, row.scheme, row.kind): row.live is not None and row.live.accepted for row in rows}
    assert taken == {key: key[1] in TAKEN[key[2]] or key == TURNS_TO_TLS for key in taken}
    assert all(bool(row.live.reason) is not row.live.accepted for row in rows if row.live is not None)


def test_gridftp_and_tokens_are_explained(rows: list[Access]) -> None:
    (row,) = [row for row in rows if (row.rse, row.scheme, row.kind) == ("DESY-DCACHE", "gsiftp", "Access token")]
    assert (row.reason, row.step) == ("GridFTP takes no tokens", "use davs on the same RSE")
    assert row.live is not None
    assert row.live.reason == f"{row.reason}; the door lets in by X.509 only, and no certificate was shown"


# Wrong credentials


Minted = Callable[..., Profile]


@pytest.fixture
def minted(lake: lakes.Lake, settings: config.Settings, tmp_path: Path) -> Minted:
    """A profile with a token of these claims."""

    def make(audience: str, scope: str, lifetime_s: int = 3600) -> Profile:
        code = (
            "import sys; from pathlib import Path; from inside import oidc; from inside.state import State\n"
            "state = State(Path(sys.argv[1])); print(oidc.mint(state, state.read(), 'alice', *sys.argv[2:4], int(sys.argv[4])))\n"
        )
        command = [str(lake.state.python), "-P", "-c", code, str(lake.state.root), audience, scope, str(lifetime_s)]
        environment = {"PYTHONPATH": str(lake.state.code), "PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/bin:/bin"}
        token = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        file = tmp_path / "token"
        file.write_text(token)
        file.chmod(0o600)
        return replace(settings.profiles["lake-token"], name="minted", token_file=file)

    return make


def audience_of(lake: lakes.Lake, server: str) -> str:
    return storage_audience(lake.facts, topology.server(server))


def test_a_token_for_one_storage_is_taken_there_and_not_shown_elsewhere(
    lake: lakes.Lake, settings: config.Settings, rses: dict[str, Rse], minted: Minted
) -> None:
    profile = minted(audience_of(lake, "gsi-root"), "storage.read:/")
    for scheme in ("davs", "roots"):
        told, proof = shown(settings, profile, "Access token", rses["GSI-ROOT"], scheme)
        assert (told.answer, proof.accepted, proof.reason) == (YES, True, "")
    log = lake.state.log_file("desy-dcache")
    before = log.stat().st_size
    told, proof = shown(settings, profile, "Access token", rses["DESY-DCACHE"], "davs")
    wanted = audience_of(lake, "desy-dcache")
    assert (told.answer, told.reason) == (NO, f"audience is {audience_of(lake, 'gsi-root')}, the door wants {wanted}")
    assert (proof.accepted, proof.reason) == (False, f"{told.reason}: not shown to it")
    assert log.stat().st_size == before, "the door has not heard of it"


@pytest.mark.parametrize("scheme", ["davs", "roots"])
def test_the_storage_itself_refuses_a_token_of_another_audience(
    lake: lakes.Lake, settings: config.Settings, rses: dict[str, Rse], minted: Minted, scheme: str
) -> None:
    profile = minted(audience_of(lake, "desy-dcache"), "storage.read:/")
    (credential,) = [each for each in local(settings, profile) if each.kind == "Access token"]
    (door,) = [each for each in rses["GSI-ROOT"].doors if each.scheme == scheme]
    assert proofs._refusal(profile, proofs.bearing(profile, credential), door, Lane("raw"))


@pytest.mark.parametrize("scheme", ["davs", "roots"])
def test_a_scope_that_does_not_cover_is_seen_and_said(
    lake: lakes.Lake, settings: config.Settings, rses: dict[str, Rse], minted: Minted, scheme: str
) -> None:
    told, proof = shown(settings, minted(audience_of(lake, "gsi-root"), "storage.read:/nothing"), "Access token", rses["GSI-ROOT"], scheme)
    assert (told.answer, told.reason) == (NO, "scope storage.read:/nothing does not cover /data/escape")
    assert not proof.accepted
    assert proof.reason.startswith(f"{told.reason}; the door ")


def test_a_token_that_ran_out_is_not_shown(lake: lakes.Lake, settings: config.Settings, rses: dict[str, Rse], minted: Minted) -> None:
    told, proof = shown(settings, minted(audience_of(lake, "gsi-root"), "storage.read:/", -7200), "Access token", rses["GSI-ROOT"], "davs")
    assert (told.answer, told.reason, told.step) == (NO, "expired 2 h ago", "get a new token")
    assert (proof.accepted, proof.reason) == (False, "expired 2 h ago")


@pytest.mark.parametrize("scheme", ["davs", "root", "gsiftp"])
def test_a_proxy_that_ran_out_is_not_shown_and_would_be_refused(
    lake: lakes.Lake, settings: config.Settings, rses: dict[str, Rse], scheme: str
) -> None:
    profile = replace(settings.profiles["lake-proxy"], name="expired", proxy=pki.spoiled_proxy(lake.state, "expired"))
    told, proof = shown(settings, profile, "X.509 proxy", rses["DESY-DCACHE"], scheme)
    assert told.answer == NO
    assert told.reason.startswith("expired ")
    assert not proof.accepted
    assert proof.reason.startswith("expired ")
    assert refusal(settings, profile, rses["DESY-DCACHE"], scheme)


@pytest.mark.parametrize("scheme", ["davs", "root", "gsiftp"])
def test_a_proxy_of_an_unknown_ca_is_refused(lake: lakes.Lake, settings: config.Settings, rses: dict[str, Rse], scheme: str) -> None:
    profile = replace(settings.profiles["lake-proxy"], name="untrusted", proxy=pki.spoiled_proxy(lake.state, "untrusted"))
    told, proof = shown(settings, profile, "X.509 proxy", rses["DESY-DCACHE"], scheme)
    assert told.answer == UNKNOWN
    assert not proof.accepted
    assert "the door " in proof.reason


def refusal(settings: config.Settings, profile: Profile, rse: Rse, scheme: str) -> str:
    """What the door itself says to the profile's proxy, whatever is known offline."""
    (credential,) = [each for each in local(settings, profile) if each.kind == "X.509 proxy"]
    (door,) = [each for each in rse.doors if each.scheme == scheme]
    return proofs._refusal(profile, proofs.bearing(profile, credential), door, Lane("raw"))


# Doors in trouble, and the command


def test_a_door_that_hangs_is_said_while_the_others_go_on(lake: lakes.Lake, settings: config.Settings, rses: dict[str, Rse]) -> None:
    (pid,) = [each["pid"] for each in lake.status() if each["name"] == "lapp-webdav"]
    profile = settings.profiles["lake-proxy"]
    os.kill(pid, signal.SIGSTOP)
    try:
        found = list(proofs.prove_all(profile, local(settings, profile), [rses["LAPP-WEBDAV"], rses["EULAKE-1"]], Lane("all")))
    finally:
        os.kill(pid, signal.SIGCONT)
    address = f"localhost:{lake.facts.ports['lapp-webdav-davs']}"
    assert [(row.rse, row.live.accepted, row.live.reason) for row in found if row.live is not None] == [
        ("EULAKE-1", True, ""),
        ("EULAKE-1", True, ""),
        ("LAPP-WEBDAV", False, f"the door at {address} accepted the call, but did not answer in time"),
    ]


def test_a_door_that_is_not_there_is_said(settings: config.Settings, rses: dict[str, Rse]) -> None:
    profile = settings.profiles["lake-proxy"]
    (credential, *acs) = local(settings, profile)
    for scheme in ("davs", "root", "gsiftp"):
        door = Door(scheme, "localhost", 1, "/data/escape/")
        proof = proofs.prove(profile, credential, rses["EULAKE-1"], door, Lane("prove"), acs)
        assert (proof.where, proof.accepted) == (f"EULAKE-1 {scheme}", False)
        said = "cannot connect to the door at localhost:1: connection refused" if scheme == "davs" else "the door is down: nobody answers"
        assert said in proof.reason


def test_a_prefix_that_is_not_there_proves_nothing(settings: config.Settings, rses: dict[str, Rse]) -> None:
    profile = settings.profiles["lake-proxy"]
    (credential, *acs) = local(settings, profile)
    for door in rses["DESY-DCACHE"].doors:
        missing = replace(door, prefix=f"{door.prefix}not-there/")
        proof = proofs.prove(profile, credential, rses["DESY-DCACHE"], missing, Lane("prove"), acs)
        assert not proof.accepted
        assert "no such file or directory" in proof.reason
        assert "is not known" in proof.reason


def test_cancelling_ends_the_proofs_at_once(lake: lakes.Lake, settings: config.Settings, rses: dict[str, Rse]) -> None:
    (pid,) = [each["pid"] for each in lake.status() if each["name"] == "lapp-webdav"]
    profile, lane = settings.profiles["lake-proxy"], Lane("all")
    os.kill(pid, signal.SIGSTOP)
    try:
        listing = proofs.prove_all(profile, local(settings, profile), [rses["EULAKE-1"], rses["LAPP-WEBDAV"]], lane)
        next(listing)
        started = time.monotonic()
        lane.cancel()
        with pytest.raises(Cancelled):
            list(listing)
        assert time.monotonic() - started < proofs.TIME_LIMIT_S
    finally:
        os.kill(pid, signal.SIGCONT)
        POOLS.retire(profile.name)


def test_the_command_tells_offline_and_live(settings: config.Settings, tmp_path: Path) -> None:
    assert settings.file is not None
    places = {name: str(tmp_path / name) for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")}
    for place in places.values():
        Path(place).mkdir(mode=0o700)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "QOSTUI_CONFIG": str(settings.file), "LANG": "C.UTF-8", **places}

    def doors(*arguments: str) -> list[dict[str, Any]]:
        command = [*lakes.QOSTUI, "--profile", "lake-token", "doors", *arguments, "-o", "json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    offline = doors()
    assert len(offline) == sum(len(rse.doors) for rse in topology.RSES)
    assert {row["live"] for row in offline} == {None}
    live = doors("DESY-DCACHE", "--live")
    assert {row["scheme"]: (row["offline"], row["live"]) for row in live} == {
        "davs": ("unknown", True), "root": ("no", False), "gsiftp": ("no", False),
    }  # fmt: skip
    assert all(row["live_reason"] for row in live if not row["live"])
