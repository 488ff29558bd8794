"""At the end of a run: no secret of its lakes was said, shown to other processes, or left where it does not belong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import serialization

from qostui.lake.inside import authority, register
from qostui.lake.inside.state import State
from tests import canary, canary_places, lakes

SECRET = "/dCvt+Zx9~QmLw8Rk2sYb7HnGe4Tu1Ja6PoXf3VzKiB"
KINDS = {"pass word", "private key", "client secret", "signing key", "macaroons' key", "token", "Rucio session"}
"""What every lake that was used has made."""


# The search sees what there is: one secret in each place


@pytest.fixture
def ears() -> Iterator[canary.Ears]:
    made = canary.Ears()
    yield made
    made.close()


def finds(ears: canary.Ears, *roots: canary_places.Root, secret: str = SECRET) -> list[str]:
    return [str(find) for find in canary.search({secret: "planted"}, ears, roots)]


def standard_base64(secret: str) -> str:
    return b64encode(secret.encode()).decode()


@pytest.mark.parametrize(
    "written",
    [
        lambda secret: secret,
        lambda secret: quote(secret, safe=""),
        lambda secret: re.sub("%..", lambda found: found[0].lower(), quote(secret, safe="")),
        standard_base64,
        lambda secret: standard_base64(f"a:{secret}"),
        lambda secret: standard_base64(f"abc:{secret}:"),
        lambda secret: quote(standard_base64(f"ab:{secret}"), safe=""),
        lambda secret: urlsafe_b64encode(secret.encode()).decode(),
        lambda secret: secret[:25],
        lambda secret: f"{secret[:30]}\n{secret[30:]}",
    ],
    ids=["raw", "url", "url-lower", "base64", "base64-after-2", "base64-after-4", "base64-url", "base64-urlsafe", "cut", "wrapped"],
)
def test_a_secret_in_the_output_is_found_however_it_is_written(ears: canary.Ears, written: Callable[[str], str]) -> None:
    ears.hear("output", "before", "nothing")
    ears.hear("output", "a test", f"line\nit says {written(SECRET)} here\n")
    ears.hear("output", "after", "nothing")
    assert finds(ears) == ["planted /dCv… in output: a test"]


def test_a_secret_in_a_report_is_found(ears: canary.Ears) -> None:
    report = pytest.TestReport("t.py::t", ("t.py", 1, "t"), {}, "failed", None, "call", [("Captured stderr call", f"x {SECRET}")])
    ears.hear_report(report)
    report = pytest.TestReport("t.py::u", ("t.py", 1, "u"), {}, "failed", f"assert {SECRET!r} == 1", "call", [])
    ears.hear_report(report)
    assert finds(ears) == [
        "planted /dCv… in report: Captured stderr call of t.py::t",
        "planted /dCv… in report: traceback of t.py::u",
    ]


def test_a_secret_in_arguments_or_environment_is_found(ears: canary.Ears) -> None:
    code = "import sys; print(flush=True); sys.stdin.read()"
    environment = {"PATH": "/usr/bin:/bin", "PLANTED": f"x{SECRET}"}
    argv = [sys.executable, "-c", code, f"--password={SECRET}"]
    with subprocess.Popen(argv, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        ears.sample()
        assert str(process.pid) in ears.processes
        process.communicate(b"")
    program = os.path.basename(sys.executable)
    assert finds(ears) == [f"planted /dCv… in argument: {program}", f"planted /dCv… in environment: PLANTED of {program}"]


def test_processes_and_output_of_the_run_itself_are_heard() -> None:
    (ears,) = canary.EARS
    mark = f"mark-{time.monotonic_ns()}-of-this-test"
    subprocess.run([sys.executable, "-m", "qostui", mark], env={"MARKED": mark}, capture_output=True, check=False)
    said = {find.where for find in canary.search({mark: "mark"}, ears, ())}
    assert {"argument: qostui", "environment: MARKED of qostui", f"output: {canary.current_test()}"} <= said


def test_files_are_searched_but_those_where_the_secret_belongs(ears: canary.Ears, tmp_path: Path) -> None:
    places = (canary_places.Place("own/*", "here"), canary_places.Place("kept/*", "here", private=False))
    root = canary_places.Root(tmp_path / "root", places, without=("not",))
    for name in ("own/private", "own/open", "kept/open", "log/private", "not/looked"):
        file = root.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"\0\xff" + SECRET.encode() + b"\n")
        file.chmod(0o644 if file.name == "open" else 0o600)
    (root.path / "own" / "link").symlink_to(root.path / "log" / "private")
    root.path.chmod(0o700)
    assert finds(ears, root) == [
        f"planted /dCv… in file {root.path}/log/private: no secret belongs there",
        f"planted /dCv… in file {root.path}/own/open: others can read it (mode 0644)",
    ]


def test_a_token_is_found_by_its_signature_and_a_key_in_another_form(ears: canary.Ears) -> None:
    signature = "Zm9vYmFyYmF6cXV4-_Zm9vYmFyYmF6cXV4Zm9v"
    ears.hear("output", "claims", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9")
    ears.hear("output", "signed", f"…IjoiYWxpY2UifQ.{signature}")
    assert finds(ears, secret=f"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.{signature}") == ["planted eyJh… in output: signed"]
    key = authority.new_key()
    (line,) = register.key_lines(authority.key_pem(key))
    pem = serialization.Encoding.PEM
    other = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    assert line.encode() not in other
    ears.hear("output", "PKCS #8", other)
    ears.hear("output", "public", key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    assert finds(ears, secret=line) == [f"planted {line[:4]}… in output: PKCS #8"]


def test_a_macaroon_is_found_by_its_beginning(ears: canary.Ears) -> None:
    ears.hear("output", "door", b64encode(b"001alocation lake\n0034identifier 0123456789abcdef"))
    assert finds(ears) == ["macaroon MDAx… in output: door"]


# The register


def test_the_register_is_private_and_takes_lines_from_many_processes(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.live.mkdir()
    code = (
        "import sys; from pathlib import Path; from qostui.lake.inside import register; from qostui.lake.inside.state import State\n"
        "for number in range(200): register.note(State(Path(sys.argv[1])), *(f'{sys.argv[2]}-{number}-{part}' for part in 'ab'))"
    )
    root = str(Path(__file__).resolve().parents[1])
    several = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name], env={"PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1"})
        for name in "xyz"
    ]
    assert [process.wait() for process in several] == [0, 0, 0]
    assert state.register.stat().st_mode & 0o777 == 0o600
    wanted = {f"{name}-{number}-{part}": "secret" for name in "xyz" for number in range(200) for part in "ab"}
    assert canary.secrets_of(state) == wanted


@pytest.mark.lake
def test_what_a_lake_hands_out_is_in_its_register(lake: lakes.Lake) -> None:
    noted = lake.state.register.read_text()
    for person in ("alice", "bob"):
        assert lake.state.token_file(person).read_text().strip() in noted
    (line,) = register.key_lines(lake.state.proxy("alice").read_bytes())
    assert line in noted


# The whole run


@pytest.mark.lake
def test_no_secret_was_seen(lake: lakes.Lake, tmp_path_factory: pytest.TempPathFactory) -> None:
    lake.client("ops").whoami()
    (ears,) = canary.EARS
    ears.sample()
    for state in lakes.THERE:
        canary.learn(state)
    assert set(canary.KNOWN.values()) >= KINDS
    assert str(os.getpid()) in ears.processes
    roots = canary_places.everywhere(tmp_path_factory.getbasetemp(), lakes.THERE, ears.began)
    finds = canary.search(canary.KNOWN, ears, roots)
    assert not finds, "\n".join(map(str, finds))
