"""Nothing of one profile reaches the servers of another: the real console, switched at random, over origins that write all down."""

from __future__ import annotations

import http.client
import json
import os
import pwd
import secrets
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from qostui.adapters import proofs
from qostui.config import write_profiles
from qostui.domain.credential import Credential
from qostui.domain.profile import Profile
from qostui.domain.rse import Door, Rse
from qostui.lake.inside import authority, pki, proxies, topology
from qostui.services.lanes import Lane
from tests.contract import fake_rucio
from tests.contract.fake_rucio import FakeRucio
from tests.functional.terminals import ROOT, Terminal
from tests.integration.recording import MOODS, RecordingOrigin, dice_of, listening, server_context, strays

SWITCHES = int(os.environ.get("QOSTUI_TEST_SWITCHES", "1000"))
PAUSES = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.01, 0.06)
"""Seconds that the operator looks at a profile, one of them at random: most leave while it is still logging in."""
LETTERS = {"a": "ace", "b": "bdf"}
"""Origin -> the letters of its profiles: with a password, a proxy, a token. The screen writes what differs only, so names share nothing."""
GFAL_CALLS = 60


@dataclass
class Side:
    """One origin, what its profiles hold, and where they keep it."""

    origin: RecordingOrigin
    password: str
    token: str
    proxy: Path
    password_file: Path
    token_file: Path

    @property
    def secrets(self) -> list[str]:
        """All that only this origin may hear."""
        return [self.password, self.token, *self.origin.issued]

    @property
    def certificate(self) -> bytes:
        """Of the proxy, DER."""
        return der(self.proxy)


@dataclass
class Ground:
    """Two sides on one host, bait beside them, and the places of a person."""

    place: Path
    ca: Path
    ca_path: Path
    sides: dict[str, Side]
    tmp: Path
    """What is seen as /tmp."""
    home: Path
    bait: list[str]
    bait_proxies: list[Path]
    environment: dict[str, str]

    def sandboxed(self, *command: str) -> list[str]:
        """The command in a mount namespace of its own, where bait lies in /tmp and in the home directory that passwd names.

        It runs as uid 0 there. The checkout and its Python stay where they are, if that is below either.
        """
        enter = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
        covers = {"/tmp": self.tmp, pwd.getpwuid(0).pw_dir: self.home}
        steps = []
        for covered, cover in covers.items():
            for kept in sorted({ROOT, sys.prefix, sys.base_prefix}):
                if kept.startswith(f"{covered}/"):
                    inside = f"{cover}{kept.removeprefix(covered)}"
                    steps.append(f"mkdir -p {inside} && mount --bind {kept} {inside}")
        steps += [f"mount --rbind {cover} {covered}" for covered, cover in covers.items()]
        return [*enter, "sh", "-c", " && ".join([*steps, 'exec "$@"']), "sh", *command]

    def found_strays(self) -> dict[str, list[str]]:
        """What is where it must not be, by origin; empty when all is well."""
        found: dict[str, list[str]] = {}
        for name, side in self.sides.items():
            (other,) = [each for key, each in self.sides.items() if key != name]
            wrong = strays(side.origin, [*other.secrets, *self.bait])
            strangers = side.origin.certificates - {side.certificate}
            if wrong or strangers:
                found[name] = [*wrong, *(f"a certificate of {len(each)} bytes" for each in strangers)]
        return found


def der(proxy: Path) -> bytes:
    return x509.load_pem_x509_certificates(proxy.read_bytes())[0].public_bytes(Encoding.DER)


def private(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(0o600)
    return path


def jwt_like(subject: str, audience: str) -> str:
    """An access token as it looks; nobody checks the signature."""
    claims = {
        "sub": subject, "iss": "https://issuer/", "aud": audience, "exp": int(time.time()) + 36000, "wlcg.ver": "1.0",
        "scope": "storage.read:/ openid", "jti": secrets.token_hex(12),
    }  # fmt: skip
    head, body = (b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in ({"alg": "ES256", "typ": "JWT"}, claims))
    return f"{head}.{body}.{secrets.token_urlsafe(48)}".replace("+", "-").replace("/", "_")


@pytest.fixture
def ground() -> Iterator[Ground]:
    # Not below /tmp, over which the sandbox puts a place of its own; short, as UNIX sockets want it.
    place = Path(tempfile.mkdtemp(prefix="qostui-apart-", dir="/var/tmp"))
    now = datetime.now(UTC)
    signer = authority.new_authority("Isolation CA", now)
    ca = private(place / "ca.pem", authority.certificate_pem(signer.certificate))
    ca_path = place / "certificates"
    ca_path.mkdir()
    for name in pki.subject_hashes(ca):
        shutil.copy(ca, ca_path / f"{name}.0")
    host = authority.issue(signer, topology.HOST, now, host=True)
    authority.save(host, place / "host.pem", place / "host.key")
    context = server_context(place / "host.pem", place / "host.key", ca)

    def proxy(person: str, file: Path) -> Path:
        return private(file, proxies.rfc_proxy(authority.issue(signer, person, now), now - timedelta(hours=1), now + timedelta(hours=9)))

    with ExitStack() as stack:
        sides = {}
        for name in LETTERS:
            origin = stack.enter_context(listening(RecordingOrigin(name, dice=dice_of(name)), context))
            token = jwt_like(f"{name}-subject", origin.address)
            origin.rucio = rucio(origin, token)
            password = f"{name}-pw-{secrets.token_hex(12)}"
            password_file, token_file = private(place / f"{name}.password", password + "\n"), private(place / f"{name}.token", token + "\n")
            sides[name] = Side(origin, password, token, proxy(f"{name}-person", place / f"{name}.proxy"), password_file, token_file)
        sides["a"].origin.other, sides["b"].origin.other = sides["b"].origin, sides["a"].origin
        ground = Ground(place, ca, ca_path, sides, place / "tmp", place / "home", [], [], {})
        lay_bait(ground, proxy)
        write_configuration(ground)
        yield ground
    shutil.rmtree(place)


def rucio(origin: RecordingOrigin, token: str) -> FakeRucio:
    made = FakeRucio(good_tokens={token})
    job = {"external_id": f"{1:08x}-job", "external_host": origin.address}
    made.rows = {
        "rses": [fake_rucio.rse_json(f"{origin.name.upper()}-ONE")],
        "rules": [fake_rucio.rule_json(f"{number:032x}", "STUCK") for number in range(20)],
        "metrics": [{"src_rse": "A", "dst_rse": "B", "distance": 1, "files": {"queued-total": 1}, "bytes": {"queued-total": 5}}],
        "requests": [fake_rucio.request_json("9" * 32, **job)],
        "jobs": [],
    }
    return made


def lay_bait(ground: Ground, proxy: Callable[[str, Path], Path]) -> None:
    """Everything that some library would pick up by itself."""
    place, home, bait, runtime = ground.place, ground.home, ground.tmp, ground.place / "run"
    netrc, file_token, tmp_token, env_token = (f"bait-{what}-{secrets.token_hex(12)}" for what in ("netrc", "file", "tmp", "env"))
    for directory in (home, bait, runtime, home / ".globus"):
        directory.mkdir(mode=0o700)
    private(home / ".netrc", f"machine localhost login me password {netrc}\nmachine 127.0.0.1 login me password {netrc}\n")
    private(runtime / "bt_u0", file_token)
    private(bait / "bt_u0", tmp_token)
    ground.bait_proxies = [proxy("bait-tmp", bait / "x509up_u0"), proxy("bait-env", place / "env.proxy")]
    globus = proxy("bait-globus", home / ".globus" / "usercert.pem")
    shutil.copy(globus, home / ".globus" / "userkey.pem")
    (home / ".globus" / "userkey.pem").chmod(0o400)
    ground.bait_proxies.append(globus)
    ground.bait = [netrc, file_token, tmp_token, env_token]
    ground.environment = {
        "PATH": os.environ["PATH"], "HOME": str(home), "XDG_RUNTIME_DIR": str(runtime), "LANG": "C.UTF-8",
        "XDG_STATE_HOME": str(place / "state"), "XDG_CACHE_HOME": str(place / "cache"), "XDG_CONFIG_HOME": str(place / "config"),
        "QOSTUI_CONFIG": str(place / "config.toml"), "BEARER_TOKEN": env_token, "X509_USER_PROXY": str(place / "env.proxy"),
        "NETRC": str(home / ".netrc"), "PYTHONPATH": ROOT, "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip


def write_configuration(ground: Ground) -> None:
    """Three profiles for each side: with a password, a proxy, a token; the accounts are how the screen tells them apart."""
    profiles = {}
    for name, letters in LETTERS.items():
        side = ground.sides[name]
        common = {"rucio_host": side.origin.address, "fts": side.origin.address, "ca": str(ground.ca), "ca_path": str(ground.ca_path)}
        ways = (
            {"auth": "userpass", "password_file": str(side.password_file), "proxy": str(side.proxy)},
            {"auth": "x509_proxy", "proxy": str(side.proxy)},
            {"auth": "oidc", "token_file": str(side.token_file)},
        )
        profiles |= {letter * 7: {**common, "account": letter.upper() * 9, **way} for letter, way in zip(letters, ways, strict=True)}
    write_profiles(ground.place / "config.toml", profiles, default_profile="a" * 7)


def switch_at_random(ground: Ground, times: int) -> None:
    """Drive the real console: each switch is seen on the screen before the next is asked for."""
    dice = dice_of("switches")
    letters = [*"".join(LETTERS.values())]
    with Terminal(ground.sandboxed(sys.executable, "-m", "qostui"), columns=90, lines=10, environ=ground.environment) as terminal:
        terminal.wait_for("AAAAAAAAA", 30)
        here = "a"
        for _ in range(times):
            here = dice.choice([each for each in letters if each != here])
            # What is typed before the prompt is open is for the table.
            typed(terminal, b":", b"completes")
            typed(terminal, f"prof {here}\r".encode(), here.upper().encode() * 9)
            terminal.read(dice.choice(PAUSES))
            del terminal.output[:-1000]
        terminal.send(b"\x11")
        assert terminal.exit_code(20) == 0


def typed(terminal: Terminal, keys: bytes, shown: bytes) -> None:
    """Type, and read until the screen has answered."""
    start = len(terminal.output)
    terminal.send(keys)
    deadline = time.monotonic() + 30
    while shown not in terminal.output[start:]:
        assert terminal.process.poll() is None, bytes(terminal.output[-2000:])
        assert time.monotonic() < deadline, f"{shown!r} did not come: {bytes(terminal.output[-2000:])!r}"
        terminal.read_once(0.05)


def list_at_random(ground: Ground, times: int) -> dict[str, int]:
    """Real gfal2 workers of both sides in one process, called in random order; how often a door listed, by bearing."""
    code = (
        "import json, random, sys\n"
        "from pathlib import Path\n"
        "from qostui.adapters.environment import take\n"
        "from qostui.adapters.gfal import Bearing\n"
        "from qostui.adapters.gfal_pools import POOLS\n"
        "from qostui.domain.errors import Problem\n"
        "from qostui.domain.profile import Secret\n"
        "take()\n"
        "order = json.load(sys.stdin)\n"
        "dice, done = random.Random(42), {}\n"
        "bearings = [(b['name'], b['url'], Bearing(b['kind'], Secret(Path(b['file']).read_text()), Path(order['ca']), owner=b['name']))\n"
        "            for b in order['bearings']]\n"
        "for _ in range(order['times']):\n"
        "    name, url, bearing = dice.choice(bearings)\n"
        "    with POOLS.pool(bearing).lend() as worker:\n"
        "        try:\n"
        "            worker.call('ls', 20, url=url)\n"
        "            done[name] = done.get(name, 0) + 1\n"
        "        except Problem as problem:\n"
        "            print(name, problem.summary, problem.detail, file=sys.stderr)\n"
        "print(json.dumps(done))\n"
    )
    bearings = [
        {"name": f"{name} {kind}", "kind": kind, "file": str(file), "url": f"davs://localhost:{side.origin.port}/data/"}
        for name, side in ground.sides.items()
        for kind, file in (("proxy", side.proxy), ("token", side.token_file))
    ]
    order = json.dumps({"ca": str(ground.ca_path), "times": times, "bearings": bearings})
    command = ground.sandboxed(sys.executable, "-c", code)
    done = subprocess.run(command, input=order, env=ground.environment, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    counts: dict[str, int] = json.loads(done.stdout)
    return counts


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_strays_while_the_console_is_switched_at_random(ground: Ground) -> None:
    for side in ground.sides.values():
        side.origin.moods = MOODS
    switch_at_random(ground, SWITCHES)
    for name, side in ground.sides.items():
        assert strays(side.origin, [side.token]), f"{name}: its token was heard, so that what is looked for can be found"
        assert side.password.encode() in side.origin.heard
        assert side.certificate in side.origin.certificates
        assert set(MOODS) <= set(side.origin.done), "each mood was met"
    assert ground.found_strays() == {}


def test_nothing_strays_between_gfal_workers(ground: Ground) -> None:
    for side in ground.sides.values():
        side.origin.moods = {mood: share for mood, share in MOODS.items() if mood != "away"}
    counts = list_at_random(ground, GFAL_CALLS)
    assert set(counts) == {"a proxy", "a token", "b proxy", "b token"}, "each of them was let in"
    for side in ground.sides.values():
        assert strays(side.origin, [side.token])
        assert side.certificate in side.origin.certificates
    assert ground.found_strays() == {}


def test_a_door_that_sends_us_on_is_told_and_nothing_goes_along(ground: Ground) -> None:
    a, b = ground.sides["a"], ground.sides["b"]
    a.origin.moods = {"away": 1.0}
    door = Door("davs", "localhost", a.origin.port, "/data/")
    rse = Rse("A", "DISK", "SAFE", True, True, True, doors=(door,))
    profile = Profile("a", a.origin.address, "me", "oidc", token_file=a.token_file, proxy=a.proxy, ca=ground.ca, ca_path=ground.ca_path)
    for credential in (
        Credential("2 proxy", "X.509 proxy", "a", "file"),
        Credential("4 token", "Access token", "a", "file", issuer="https://issuer/", audience=(a.origin.address,)),
    ):
        proof = proofs.prove(profile, credential, rse, door, Lane("prove"))
        assert not proof.accepted
        assert f"sends us on to localhost:{b.origin.port}, where no credential of this profile goes" in proof.reason
    assert strays(a.origin, [a.token]) == [a.token]
    assert a.certificate in a.origin.certificates
    assert (bytes(b.origin.heard), b.origin.certificates) == (b"", set())


def list_a_directory(ground: Ground, side: Side, proxy: Path | None = None, **headers: str) -> None:
    """What a program that minds nothing would send."""
    context = ssl.create_default_context(cafile=str(ground.ca))
    if proxy is not None:
        context.load_cert_chain(proxy)
    connection = http.client.HTTPSConnection("localhost", side.origin.port, context=context, timeout=30)
    connection.request("PROPFIND", "/data/", headers=headers)
    assert connection.getresponse().status == 207
    connection.close()


SPELLED: dict[str, Callable[[str], str]] = {
    "raw": lambda text: text,
    "in an address": lambda text: quote(f"/?authz=Bearer {text}", safe=""),
    "base64": lambda text: b64encode(f"me:{text}".encode()).decode(),
}


@pytest.mark.parametrize("how", SPELLED)
def test_a_planted_leak_is_found(ground: Ground, how: str) -> None:
    assert ground.found_strays() == {}
    a, b = ground.sides["a"], ground.sides["b"]
    list_a_directory(ground, b, cookie=SPELLED[how](a.token))
    assert ground.found_strays() == {"b": [a.token]}


def test_a_strangers_certificate_is_found(ground: Ground) -> None:
    list_a_directory(ground, ground.sides["b"], proxy=ground.sides["a"].proxy)
    assert list(ground.found_strays()) == ["b"]


def test_bait_is_found(ground: Ground) -> None:
    for text in ground.bait:
        list_a_directory(ground, ground.sides["a"], authorization=text)
    for proxy in ground.bait_proxies:
        list_a_directory(ground, ground.sides["b"], proxy=proxy)
    found = ground.found_strays()
    assert found["a"] == ground.bait
    assert len(found["b"]) == len(ground.bait_proxies) == 3
