"""Locks between consoles: one at a time, nobody waits for ever, and waiting can be cancelled."""

from __future__ import annotations

import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from qostui.adapters import file_lock
from qostui.domain.errors import ConnectionProblem, CredentialProblem
from qostui.services.feeds import Cancelled


def test_one_at_a_time(tmp_path: Path) -> None:
    path, inside, most = tmp_path / "lock", 0, 0
    counting = threading.Lock()

    def work() -> None:
        nonlocal inside, most
        for _ in range(20):
            with file_lock.held(path, "it"):
                with counting:
                    inside += 1
                    most = max(most, inside)
                with counting:
                    inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert (inside, most) == (0, 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_console_that_does_not_end_is_said_and_one_that_died_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = "import sys, fcntl; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"
    other = subprocess.Popen([sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ConnectionProblem, match="busy with this token"), file_lock.held(path, "this token", limit_s=0.2):
            pass
        with pytest.raises(Cancelled), file_lock.held(path, "it", wanted=lambda: False):
            pass
    finally:
        other.kill()
        other.communicate()
    with file_lock.held(path, "it", limit_s=5):
        pass


def test_a_lock_is_never_somebody_s_link(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "victim")
    with pytest.raises(CredentialProblem) as caught, file_lock.held(tmp_path / "lock", "it"):
        pass
    assert caught.value.step
    assert not (tmp_path / "victim").exists()
