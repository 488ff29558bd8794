"""What the storage servers are told, and the record of the tape storage: the parts that need no running server."""

from __future__ import annotations

import json
import re
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from qostui.lake.inside import gridftp_conf, keycache, storages, tape_stage, topology, xrootd_conf
from qostui.lake.inside.state import Facts, State
from tests import lakes

XROOTD = [server for server in topology.SERVERS if server.software == "xrootd"]
GRIDFTP = [server for server in topology.SERVERS if server.software == "gridftp"]
LAKE_PACKAGE = Path(__file__).resolve().parents[2] / "qostui" / "lake"


@pytest.fixture
def facts() -> Facts:
    ports = {name: 21000 + number for number, name in enumerate(topology.port_names())}
    return Facts("abcd1234", "41.5.1", "qostui", ports, {server.name: (22000, 22199) for server in GRIDFTP})


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "lake")


@pytest.fixture
def configured(state: State, facts: Facts, monkeypatch: pytest.MonkeyPatch) -> State:
    """All configurations on disk; no server runs, so a test's long path need not send the sockets to /tmp."""
    monkeypatch.setattr(storages, "SOCKET_PATH_LIMIT", 4096)
    storages.configure(state, facts)
    return state


def config(state: State, name: str) -> str:
    return (state.etc / name / "xrootd.cfg").read_text()


def test_only_the_roots_server_takes_tokens_at_log_in(configured: State) -> None:
    assert [server.name for server in XROOTD if "sec.protocol ztn" in config(configured, server.name)] == ["gsi-root"]


def test_every_server_listens_on_its_own_ports_and_no_default_one(configured: State, facts: Facts) -> None:
    for server in XROOTD:
        told = {int(port) for port in re.findall(r"^xrd\.(?:port |protocol http:)(\d+)", config(configured, server.name), re.MULTILINE)}
        assert told == {facts.ports[name] for name in server.port_names}


def test_gsi_demands_a_mapped_user_and_a_crl_that_is_not_over(configured: State) -> None:
    for server in XROOTD:
        assert "-gmapopt:2 -crl:3" in config(configured, server.name)
        assert "http.gridmap required" in config(configured, server.name)
        assert "http.secxtractor required libXrdHttpVOMS.so vos=escape" in config(configured, server.name)


def test_the_tape_server_publishes_its_api_and_loads_no_macaroons(configured: State, facts: Facts) -> None:
    text = config(configured, "sara-tape")
    assert "acaroon" not in text
    assert f"ofs.preplib libXrdOfsPrepGPI.so -admit all -run {configured.etc}/sara-tape/stage" in text
    document = json.loads((configured.data(topology.server("sara-tape")) / ".well-known" / "wlcg-tape-rest-api").read_text())
    assert document["endpoints"] == [{"uri": f"https://localhost:{facts.ports['tape']}/api/v1", "version": "v1", "metadata": {}}]


def test_a_storage_takes_its_own_audience_and_the_wlcg_one(configured: State, facts: Facts) -> None:
    text = (configured.etc / "eulake" / "scitokens.cfg").read_text()
    assert f"audience = https://localhost:{facts.ports['eulake-davs']}, https://wlcg.cern.ch/jwt/v1/any\n" in text
    assert f"issuer = https://localhost:{facts.ports['oidc']}/\n" in text


def test_no_name_of_a_person_is_known_to_authorisation(configured: State) -> None:
    """A token whose subject is such a name would be let in with any audience (seen with XRootD 5.5.3)."""
    people = {person.name for person in topology.PEOPLE}
    for server in XROOTD:
        known = {line.split()[1] for line in (configured.etc / server.name / "authdb").read_text().splitlines()}
        assert known
        assert not known & people
        mapped = {line.rsplit(" ", 1)[1] for line in (configured.etc / server.name / "grid-mapfile").read_text().splitlines()}
        assert mapped == known - {"*"}


def test_bob_reads_and_lists_and_is_not_let_in_where_reading_cannot_be_told_from_writing(configured: State) -> None:
    assert "u x509-bob /data rl\n" in (configured.etc / "eulake" / "authdb").read_text()
    for server in GRIDFTP:
        lines = (configured.etc / server.name / "grid-mapfile").read_text().splitlines()
        assert lines == ['"/DC=test/DC=qostui/CN=alice" qostui', '"/DC=test/DC=qostui/CN=robot" qostui']


def test_gridftp_stays_on_loopback_and_below_its_data(configured: State, facts: Facts) -> None:
    settings = dict(line.split(" ", 1) for line in (configured.etc / "cnaf-gridftp" / "gridftp.conf").read_text().splitlines())
    assert {settings[name] for name in ("control_interface", "data_interface", "hostname")} == {"127.0.0.1"}
    assert settings["restrict_paths"] == f"RW{configured.data(topology.server('cnaf-gridftp'))}/data"
    assert settings["allow_anonymous"] == "0"
    environment = gridftp_conf.environment(configured, facts, topology.server("cnaf-gridftp"))
    assert environment["GLOBUS_TCP_PORT_RANGE"] == "22000,22199"


def test_each_prefix_of_an_rse_exists_in_the_data_of_its_servers(configured: State) -> None:
    for rse in topology.RSES:
        for _, door in rse.doors:
            assert (configured.data(topology.server(door)) / rse.prefix.lstrip("/")).is_dir()


def test_configure_again_keeps_macaroon_keys_and_private_modes(configured: State, facts: Facts) -> None:
    keys = {path: path.read_bytes() for path in configured.etc.glob("*/macaroon.key")}
    storages.configure(configured, facts)
    assert {path.parent.name for path in keys} == {server.name for server in XROOTD if server.macaroons}
    assert {path: path.read_bytes() for path in keys} == keys
    assert len(set(keys.values())) == len(keys)
    files = [path for path in configured.etc.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in files} == {0}


def test_commands_name_the_sockets_they_inherit_and_what_says_ready(state: State, facts: Facts) -> None:
    commands = {command.service: command for command in storages.commands(state, facts)}
    assert list(commands) == [server.name for server in topology.SERVERS]
    assert commands["gsi-root"].sockets == ("gsi-root-root", "gsi-root-davs")
    assert commands["lapp-webdav"].sockets == ("lapp-webdav-davs",)
    assert commands["gsi-root"].ready == f"log::{facts.ports['gsi-root-davs']} initialization completed."
    assert commands["cnaf-gridftp"].sockets == ()
    assert commands["cnaf-gridftp"].ready == "tcp:cnaf-gridftp-gsiftp"
    assert all(command.argv[0].startswith("/usr/") for command in commands.values())


def test_sockets_stay_in_the_state_unless_its_path_is_too_long(facts: Facts) -> None:
    assert storages.leftovers(State(Path("/var/lib/lake")), facts) == []
    assert storages.leftovers(State(Path("/var/tmp") / ("long" * 15)), facts) == [Path("/tmp/ql-abcd1234")]


def test_a_directory_of_somebody_else_is_not_used_for_sockets(tmp_path: Path, facts: Facts, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = tmp_path / "open"
    foreign.mkdir(mode=0o755)
    monkeypatch.setattr(storages, "admin_directory", lambda state, facts: foreign)
    with pytest.raises(storages.StorageError, match="remove it"):
        storages.configure(State(tmp_path / "lake"), facts)


def test_a_path_the_servers_cannot_read_is_refused_with_the_next_step(tmp_path: Path, facts: Facts) -> None:
    with pytest.raises(storages.StorageError, match="choose a state directory without spaces"):
        storages.configure(State(tmp_path / "my lake"), facts)


def test_the_key_cache_holds_the_lakes_issuer_only(state: State, facts: Facts) -> None:
    state.oidc.mkdir(parents=True)
    for keys in ({"keys": [{"kid": "old"}]}, {"keys": [{"kid": "new"}]}):
        state.jwks.write_text(json.dumps(keys))
        keycache.seed(state, facts)
        facts.ports["oidc"] += 1
    path = keycache.cache_home(state, topology.server("eulake")) / "scitokens" / "scitokens_cpp.sqllite"
    with closing(sqlite3.connect(path)) as database:
        ((issuer, entry),) = database.execute("SELECT issuer, keys FROM keycache").fetchall()
    assert issuer == f"https://localhost:{facts.ports['oidc'] - 1}/"
    assert json.loads(entry)["jwks"] == {"keys": [{"kid": "new"}]}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_key_cache_is_not_seeded_with_nothing(state: State, facts: Facts) -> None:
    state.oidc.mkdir(parents=True)
    state.jwks.write_text('{"keys": []}')
    with pytest.raises(ValueError, match="no keys"):
        keycache.seed(state, facts)


class Tape:
    """A tape storage with one old file, and a clock the test turns."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = "/data/lofar/old"
        file = root / "files" / self.path.lstrip("/")
        file.parent.mkdir(parents=True)
        file.write_bytes(b"x")
        self.now = file.stat().st_mtime + 1000

    def shelf(self) -> tape_stage.Shelf:
        return tape_stage.Shelf(self.root / "tape.db", self.root / "files", lambda: self.now)


@pytest.fixture
def tape(tmp_path: Path) -> Tape:
    return Tape(tmp_path)


def test_a_staged_file_arrives_after_a_while_and_survives_a_restart(tape: Tape) -> None:
    tape.shelf().stage("r1", "alice", [(tape.path, None)])
    assert tape.shelf().locality(tape.path) == "TAPE"
    tape.now += tape_stage.STAGE_SECONDS + 1
    assert tape.shelf().locality(tape.path) == "DISK_AND_TAPE"
    (file,) = tape.shelf().request("r1").files  # type: ignore[union-attr]  # the request was just made
    assert (file.state, file.on_disk) == ("COMPLETED", True)


def test_release_and_the_end_of_the_life_time_send_a_file_back(tape: Tape) -> None:
    shelf = tape.shelf()
    shelf.stage("r1", "alice", [(tape.path, None)])
    tape.now += 60
    shelf.release([tape.path])
    assert shelf.locality(tape.path) == "TAPE"
    shelf.stage("r2", "alice", [(tape.path, 100)])
    tape.now += 60
    assert shelf.locality(tape.path) == "DISK_AND_TAPE"
    tape.now += 60
    assert shelf.locality(tape.path) == "TAPE"


def test_asking_twice_does_not_start_again(tape: Tape) -> None:
    shelf = tape.shelf()
    shelf.stage("r1", "alice", [(tape.path, None)])
    tape.now += tape_stage.STAGE_SECONDS - 1
    shelf.stage("r2", "bob", [(tape.path, None)])
    tape.now += 2
    assert shelf.locality(tape.path) == "DISK_AND_TAPE"


def test_cancel_stops_what_has_not_arrived(tape: Tape) -> None:
    shelf = tape.shelf()
    shelf.stage("r1", "alice", [(tape.path, None)])
    shelf.cancel("r1", [tape.path])
    tape.now += 60
    assert shelf.locality(tape.path) == "TAPE"
    assert shelf.request("r1").files[0].state == "CANCELLED"  # type: ignore[union-attr]  # the request was just made


def test_a_new_file_is_on_disk_until_it_is_on_tape(tape: Tape) -> None:
    tape.now -= 1000 - tape_stage.ARCHIVE_SECONDS / 2
    assert tape.shelf().locality(tape.path) == "DISK"
    assert tape.shelf().locality("/data/lofar/none") is None


@pytest.mark.parametrize("text", ["/etc/passwd", "/data/../etc/passwd", "/data", "data/x/../../y", "/data/a\0b"])
def test_a_path_outside_of_the_data_is_none(text: str) -> None:
    assert tape_stage.storage_path(text) is None


def test_the_prepare_program_answers_as_xrootd_asks(state: State) -> None:
    """Run as XRootD's plug-in runs it: by the system's Python, with `-p` and `--` before the request."""
    file = state.data(topology.server("sara-tape")) / "data" / "lofar" / "f"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x")

    def asked(*arguments: str) -> str:
        command = [sys.executable, "-P", "-m", "inside.tape_stage", "--state", str(state.root), *arguments]
        env = {"PYTHONPATH": str(LAKE_PACKAGE), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=True).stdout

    assert asked("-p", "1", "--", "req:1", "stage", "/data/lofar/f?x=y", "/data/lofar/none") == ""
    answer = json.loads(asked("--", "req:1", "query", "/data/lofar/f", "/data/lofar/none"))
    here, missing = answer["responses"]
    assert answer["request_id"] == "req:1"
    assert (here["path_exists"], here["requested"], here["has_reqid"]) == (True, True, True)
    assert (missing["path_exists"], missing["error_text"]) == (False, "file does not exist or is not accessible to you")


def test_the_stage_program_is_what_the_configuration_names(configured: State) -> None:
    program = configured.etc / "sara-tape" / "stage"
    assert stat.S_IMODE(program.stat().st_mode) == 0o700
    assert xrootd_conf.stage_program(configured).startswith("#!/bin/sh\n")


def test_the_tape_rest_api_in_the_lakes_environment(tmp_path: Path) -> None:
    """Flask and joserfc are there only."""
    lakes.run_flows("tape_flows.py", tmp_path, least=12, seconds=120)
