"""The doctor on the real lake: nothing wrong on a healthy one, and exactly the one finding for each fault that is planted."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from qostui import config
from qostui.lake.inside import authority, pki, proxies
from qostui.lake.inside.state import State, issuer, url
from tests import lakes
from tests.contract import fake_rucio

NOW = datetime.now(UTC)
BAD = ("warning", "fault")
LAKE_PROFILES = ("lake-operator", "lake-proxy", "lake-token", "lake-user")


@dataclass
class Patient:
    """A profile that holds every kind of credential, in files of its own that may be spoiled."""

    place: Path
    state: State
    values: dict[str, Any]
    env: dict[str, str]

    def path(self, key: str) -> Path:
        return Path(self.values[key])

    def visited(self) -> tuple[int, list[dict[str, Any]]]:
        """Exit code and all findings of `qostui doctor`."""
        file = self.place / "config.toml"
        config.write_profiles(file, {"patient": self.values}, default_profile="patient", replacing=("patient",))
        return visit({**self.env, "QOSTUI_CONFIG": str(file)})


def visit(env: dict[str, str], *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and all findings; standard error has the last line only."""
    done = subprocess.run(
        [*lakes.QOSTUI, "doctor", "--all-findings", "-o", "json", *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert "checks ran: " in done.stderr, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return done.returncode, found


def wrong(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in found if each["level"] in BAD]


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    home = tmp_path_factory.mktemp("doctor-home")
    places = {name: str(home / name) for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")}
    for path in places.values():
        Path(path).mkdir(mode=0o700)
    checkout = str(Path(__file__).parents[2])
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "TERM": "xterm-256color", "PYTHONPATH": checkout, **places}


@pytest.fixture
def patient(lake: lakes.Lake, env: dict[str, str], tmp_path: Path) -> Patient:
    """Copies of alice's files, of the CAs and of the VOMS trust: whatever is spoiled, the lake is not."""
    state, facts = lake.state, lake.facts
    copied = {
        "password_file": state.password_file("ops"),
        "certificate": state.user_cert("alice"),
        "key": state.user_key("alice"),
        "proxy": state.proxy("alice"),
        "token_file": state.token_file("alice"),
        "vomses": state.vomses,
    }
    values: dict[str, Any] = {"rucio_host": url(facts, "rucio"), "account": "ops", "auth": "userpass", "ca": str(state.ca)}
    for key, source in copied.items():
        target = tmp_path / f"{key}.file"
        shutil.copyfile(source, target)
        target.chmod(0o644 if key in ("certificate", "vomses") else 0o600)
        values[key] = str(target)
    for key, source in (("ca_path", state.certificates), ("voms_dir", state.vomsdir)):
        shutil.copytree(source, tmp_path / key)
        values[key] = str(tmp_path / key)
    values |= {"voms": "escape", "issuer": issuer(facts), "client_id": "qostui", "fts": url(facts, "fts")}
    return Patient(tmp_path, state, values, env)


def test_nothing_is_wrong_on_a_healthy_lake(lake: lakes.Lake, env: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    lake.command("profiles", "--file", str(file))
    code, found = visit({**env, "QOSTUI_CONFIG": str(file)}, "--all")
    assert wrong(found) == []
    assert code == 0
    for profile in LAKE_PROFILES:
        looked = {each["check"] for each in found if each["profile"] == profile and each["level"] == "ok"}
        assert looked >= {"trust.file", "trust.crl", "credentials.log-in", "clock.server", "servers.rucio", "servers.doors", "servers.fts"}
    schemes = {each["subject"].partition(":")[0] for each in found if each["check"] == "servers.doors"}
    assert schemes == {"davs", "root", "roots", "gsiftp"}
    lasting = [each["summary"] for each in found if each["check"] == "servers.doors" and each["subject"].startswith(("davs", "roots"))]
    assert lasting
    assert all("its host certificate lasts" in each for each in lasting)


def test_nothing_is_wrong_with_the_patient_before_and_no_secret_is_shown(patient: Patient) -> None:
    code, found = patient.visited()
    assert wrong(found) == []
    assert code == 0
    checks = {each["check"] for each in found if each["level"] == "ok"}
    assert {topic.partition(".")[0] for topic in checks} == {
        "trust",
        "credentials",
        "clock",
        "servers",
        "voms",
        "software",
        "terminal",
        "places",
    }
    said = json.dumps(found)
    for key in ("password_file", "token_file"):
        assert patient.path(key).read_text().strip() not in said


# the faults: each spoils one thing --------------------------------------------------------------------------------------


def crls(patient: Patient) -> list[Path]:
    return sorted(patient.path("ca_path").glob("*.r0"))


def signer(patient: Patient) -> authority.Credential:
    found = authority.load(patient.state.ca, patient.state.ca_key)
    assert found is not None
    return found


def crl_over(patient: Patient) -> None:
    for path in crls(patient):
        path.write_bytes(authority.revocations(signer(patient), [], NOW - timedelta(days=2), NOW - timedelta(hours=1)))


def crl_missing(patient: Patient) -> None:
    for path in crls(patient):
        path.unlink()


def policy_gone(patient: Patient) -> None:
    for path in patient.path("ca_path").glob("*.signing_policy"):
        path.unlink()


def hash_link_gone(patient: Patient) -> None:
    (patient.path("ca_path") / f"{pki.subject_hashes(patient.state.ca)[0]}.0").unlink()


def ca_expired(patient: Patient) -> None:
    over = authority.new_authority("An older CA", NOW - timedelta(days=4000))
    file = patient.path("ca_path") / "older.pem"
    file.write_bytes(authority.certificate_pem(over.certificate))
    for name in pki.subject_hashes(file):
        shutil.copyfile(file, patient.path("ca_path") / f"{name}.0")


def key_open(patient: Patient) -> None:
    patient.path("key").chmod(0o644)


def key_of_another(patient: Patient) -> None:
    shutil.copyfile(patient.state.user_key("bob"), patient.path("key"))


def proxy_expired(patient: Patient) -> None:
    shutil.copyfile(pki.spoiled_proxy(patient.state, "expired"), patient.path("proxy"))


def attributes_expired(patient: Patient) -> None:
    state, out, keys = patient.state, patient.path("proxy"), patient.place / "keys"
    out.unlink()
    keys.mkdir(mode=0o700)
    for source in (state.user_key("alice"), proxies.voms_key(state)):  # it takes keys of its own user only
        (keys / source.name).write_bytes(source.read_bytes())
        (keys / source.name).chmod(0o400)
    command = [
        proxies.VOMS_PROXY_FAKE, "-rfc", "-newformat", "-quiet", "-bits", "2048", "-hours", "12", "-vomslife", "1", "-pastac", "3:00",
        "-cert", str(state.user_cert("alice")), "-key", str(keys / "alice.key"), "-certdir", str(state.certificates),
        "-hostcert", str(proxies.voms_cert(state)), "-hostkey", str(keys / "voms.key"),
        "-voms", "escape", "-uri", proxies.VOMS_ADDRESS, "-fqan", "/escape/Role=NULL/Capability=NULL", "-out", str(out),
    ]  # fmt: skip
    clean = {"HOME": str(patient.place), "PATH": "/usr/bin:/bin", "X509_CERT_DIR": str(state.certificates)}
    subprocess.run(command, env=clean, cwd=patient.place, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True)
    out.chmod(0o600)


def token_expired(patient: Patient) -> None:
    head, payload, signature = patient.path("token_file").read_text().strip().split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    claims["exp"] = int((NOW - timedelta(hours=2)).timestamp())
    spoiled = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    patient.path("token_file").write_text(f"{head}.{spoiled}.{signature}\n")


def vomses_gone(patient: Patient) -> None:
    patient.path("vomses").unlink()


def lsc_wrong(patient: Patient) -> None:
    (file,) = patient.path("voms_dir").rglob("*.lsc")
    file.write_text(file.read_text().replace("CN=voms.", "CN=other."))


def password_open(patient: Patient) -> None:
    patient.path("password_file").chmod(0o604)


def issuer_gone(patient: Patient) -> None:
    patient.values["issuer"] = f"https://localhost:{dead_port()}/"


def issuer_misspelt(patient: Patient) -> None:
    patient.values["issuer"] = patient.values["issuer"].rstrip("/")


def rucio_gone(patient: Patient) -> None:
    patient.values["rucio_host"] = f"https://localhost:{dead_port()}"


def fts_gone(patient: Patient) -> None:
    patient.values["fts"] = f"https://localhost:{dead_port()}"


def runtime_open(patient: Patient) -> None:
    place = patient.place / "runtime"
    place.mkdir(mode=0o700)
    (place / "qostui").mkdir()
    (place / "qostui").chmod(0o755)
    patient.env = {**patient.env, "XDG_RUNTIME_DIR": str(place)}


def dead_port() -> int:
    """A loopback port at which nobody listens."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Fault:
    """What is spoiled, and the finding that must come of it."""

    plant: Callable[[Patient], None]
    check: str
    level: str
    code: int
    words: str


FAULTS = (
    Fault(crl_over, "trust.crl", "fault", 1, "is over"),
    Fault(crl_missing, "trust.crl", "warning", 0, "is missing"),
    Fault(policy_gone, "trust.policy", "fault", 1, "signing policy"),
    Fault(hash_link_gone, "trust.names", "fault", 1, "hash link"),
    Fault(ca_expired, "trust.validity", "fault", 1, "An older CA"),
    Fault(key_open, "credentials.key", "fault", 4, "can be read by others (mode 0644)"),
    Fault(key_of_another, "credentials.key", "fault", 4, "does not belong"),
    Fault(proxy_expired, "credentials.proxy", "fault", 4, "expired"),
    Fault(attributes_expired, "credentials.attributes", "fault", 4, "though the proxy has"),
    Fault(token_expired, "credentials.token", "fault", 4, "expired 2 h ago"),
    Fault(password_open, "credentials.password", "fault", 4, "can be read by others"),
    Fault(vomses_gone, "voms.vomses", "fault", 1, "no vomses entry for VO escape"),
    Fault(lsc_wrong, "voms.lsc", "fault", 1, "does not name /DC=test/DC=qostui/CN=voms.localhost"),
    Fault(issuer_gone, "servers.issuer", "fault", 1, "cannot connect"),
    Fault(issuer_misspelt, "servers.issuer", "fault", 1, "calls itself"),
    Fault(rucio_gone, "servers.rucio", "fault", 1, "cannot connect"),
    Fault(fts_gone, "servers.fts", "fault", 1, "cannot connect"),
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.plant.__name__)
def test_a_planted_fault_is_found_and_nothing_else(patient: Patient, fault: Fault) -> None:
    fault.plant(patient)
    expected(patient, fault)


def expected(patient: Patient, fault: Fault) -> dict[str, Any]:
    code, found = patient.visited()
    assert [(each["check"], each["level"]) for each in wrong(found)] == [(fault.check, fault.level)], wrong(found)
    (finding,) = wrong(found)
    assert fault.words in finding["summary"]
    assert finding["fix"]
    assert code == fault.code
    return finding


def test_a_runtime_directory_that_others_may_look_into(patient: Patient) -> None:
    """Without it the console cannot keep a session either, so what needs a log-in is not looked at."""
    runtime_open(patient)
    code, found = patient.visited()
    assert "places.runtime" in {each["check"] for each in wrong(found)}
    assert code in (1, 4)


def test_a_server_whose_clock_is_wrong(patient: Patient) -> None:
    with fake_rucio.running() as server:
        server.answers["/ping"] = lambda reply: reply.send(200, b'{"version": "41.5.1"}')
        patient.values["rucio_host"] = server.address
        assert wrong(patient.visited()[1]) == []
        server.ahead = timedelta(minutes=10)
        finding = expected(patient, Fault(lambda patient: None, "clock.server", "fault", 1, "behind that of"))
        assert "timedatectl" in finding["fix"]


@contextmanager
def tls_door(patient: Patient, made: datetime) -> Iterator[int]:
    """A TLS port with a host certificate of the lake's CA that was issued then, for a year."""
    credential = authority.issue(signer(patient), "localhost", made, host=True)
    authority.save(credential, patient.place / "door.pem", patient.place / "door.key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(patient.place / "door.pem", patient.place / "door.key")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    context.wrap_socket(connection, server_side=True).close()
                except OSError:
                    continue  # who looks and does not trust hangs up

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.mark.parametrize(
    ("age", "level", "code", "words"),
    [(400, "fault", 1, "its host certificate expired 35 d ago"), (362, "warning", 0, "its host certificate lasts")],
)
def test_a_door_whose_certificate_is_over_or_ends_soon(
    patient: Patient, lake: lakes.Lake, age: int, level: str, code: int, words: str
) -> None:
    with ExitStack() as stack:
        port = stack.enter_context(tls_door(patient, NOW - timedelta(days=age)))
        client = lake.client()
        client.add_rse_attribute("ALPAMED-DPM", "door_https", f"https://localhost:{port}/data")
        stack.callback(client.delete_rse_attribute, "ALPAMED-DPM", "door_https")
        finding = expected(patient, Fault(lambda patient: None, "servers.doors", level, code, words))
        assert finding["subject"] == f"https://localhost:{port}"
        assert "ALPAMED-DPM" in finding["summary"]
