"""A crash of the program itself: no secrets, exit code 70, a private report."""

from __future__ import annotations

import stat
import sys
import threading
from pathlib import Path

import pytest

from qostui.ui import crash

from .terminals import Terminal

PROGRAM = """
import os, sys
from pathlib import Path
from qostui.ui import crash, terminal
terminal.prepare(os.environ)
from qostui.ui.app import serve
from qostui.ui.console import QostuiApp
from tests.functional import fakes

class Broken(fakes.FakeSession):
    def identity(self):
        password = "S3cretPassw0rd!"
        raise ValueError("refused for token=S3cretToken [/nope] \\x1b]0;x\\x07")

state = Path(sys.argv[1])
with crash.CrashHandler(state):
    app = QostuiApp(fakes.FakeSettings(fakes.PROFILES, state_dir=state), "lake-ops", lambda p: Broken(p, fakes.feeds()))
    sys.exit(serve(app))
"""


def test_a_crash_restores_the_terminal_exits_70_and_tells_no_secret(tmp_path: Path) -> None:
    with Terminal([sys.executable, "-c", PROGRAM, str(tmp_path / "state")]) as terminal:
        assert terminal.exit_code(20) == crash.EXIT
        assert terminal.restored
        reports = list((tmp_path / "state").glob("crash-*.txt"))
        assert len(reports) == 1
        assert stat.S_IMODE(reports[0].stat().st_mode) == 0o600
        text = reports[0].read_text()
        assert "ValueError" in text
        assert "in identity" in text
        for secret in ("S3cretPassw0rd", "S3cretToken"):
            assert secret not in text
            assert secret.encode() not in terminal.output
        assert b"report it with" in terminal.output
        assert b"Traceback" not in terminal.output


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2ln", "eyJ"),
        ("password: hunter2", "hunter2"),
        ("X-Rucio-Auth-Token: root-root-unknown-abc123", "abc123"),
        ("Authorization: Bearer abcdef", "abcdef"),
        ("https://alice:hunter2@host/x", "hunter2"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "MIIE"),
        ("macaroon MDAxY2xvY2F0aW9u" + "A" * 60, "MDAxY2xv"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text: str, secret: str) -> None:
    assert secret not in crash.without_secrets(text)


def test_plain_words_stay() -> None:
    text = "no space left at DESY-DCACHE (davs), rule 5f2c9e1a5f2c9e1a5f2c9e1a5f2c9e1a"
    assert crash.without_secrets(text) == text


def test_a_thread_that_fails_is_reported_and_told(tmp_path: Path) -> None:
    told: list[tuple[BaseException, Path | None]] = []
    with crash.CrashHandler(tmp_path, lambda error, path: told.append((error, path))):
        thread = threading.Thread(target=lambda: 1 / 0, name="lane-7")
        thread.start()
        thread.join()
    error, path = told[0]
    assert isinstance(error, ZeroDivisionError)
    assert path is not None
    assert "lane-7" in path.read_text()


def test_old_reports_go_and_a_full_disk_is_no_second_crash(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"crash-2020010{number:02d}.txt").write_text("")
    assert crash.report(ValueError("x"), tmp_path) is not None
    assert len(list(tmp_path.glob("crash-*.txt"))) == crash.KEPT
    (tmp_path / "file").write_text("")
    assert crash.report(ValueError("x"), tmp_path / "file" / "below") is None
    assert "could not be written" in crash.sentence(ValueError("x"), None)
