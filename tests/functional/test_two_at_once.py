"""The console started twice by one person: what both write stays whole, and nothing of either is lost."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from qostui.adapters.rucio_session import TokenBox
from qostui.domain.profile import Profile
from qostui.services.layouts import Layouts
from qostui.services.snapshot import SnapshotDirectory
from qostui.ui.crash import KEPT

CHECKOUT = Path(__file__).parents[2]
PROFILE = Profile("ops", "https://rucio.example.org", "ops", "userpass", password_file=Path("/nonexistent"))
VIEWS = ("rules", "rses")
CONSOLE = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from qostui.adapters import rucio_session
from qostui.domain.profile import Profile
from qostui.domain.rule import Rule
from qostui.domain.table import Layout
from qostui.services.layouts import Layouts
from qostui.services.snapshot import SnapshotDirectory
from qostui.ui import crash

state, runtime, own = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
profile = Profile("ops", "https://rucio.example.org", "ops", "userpass", password_file=Path("/nonexistent"))
now = datetime(2026, 11, 25, 12, tzinfo=UTC)
snapshots, box, layouts = SnapshotDirectory(state, profile), rucio_session.TokenBox(profile, runtime), Layouts(state / "columns.json")
print("ready", flush=True)
sys.stdin.readline()
for turn in range(40):
    rows = [Rule(str(number), own, "name" * turn, "FILE", "a", "OK", "X", 1) for number in range(60)]
    snapshots.save("rules", rows, now)
    box.put(own * 2000 + str(turn), now + timedelta(days=30000))
    box.directory
    rucio_session._import_client(runtime) if turn % 10 == 0 else None
    layouts.keep(own, Layout(widths=((own, 10 + turn),)))
    crash.report(RuntimeError(own), state)
    if turn % 7 == 0:
        box.forget()
"""


@pytest.fixture
def consoles(tmp_path: Path) -> list[subprocess.Popen[str]]:
    """Two of them, ready to begin in the same moment."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT), "HOME": str(tmp_path), "LANG": "C.UTF-8"}
    command = [sys.executable, "-c", CONSOLE, str(tmp_path / "state"), str(tmp_path / "run")]
    pipe = subprocess.PIPE
    started = [subprocess.Popen([*command, view], env=env, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for view in VIEWS]
    for each in started:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    return started


def test_what_two_consoles_write_at_once_stays_whole(consoles: list[subprocess.Popen[str]], tmp_path: Path) -> None:
    state, runtime = tmp_path / "state", tmp_path / "run"
    for each in consoles:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    looks = 0
    while any(each.poll() is None for each in consoles):
        looks += _whole(state, runtime)
    for each in consoles:
        _, err = each.communicate(timeout=10)
        assert each.returncode == 0, err
    assert looks
    kept = Layouts(state / "columns.json")
    assert [kept.of(view).widths for view in VIEWS] == [((view, 49),) for view in VIEWS], "the columns of both"
    found = SnapshotDirectory(state, PROFILE).load("rules")
    assert found is not None
    assert len(found[0]) == 60
    box = TokenBox(PROFILE, runtime)
    assert box.read()
    assert box.token in {f"{view * 2000}39" for view in VIEWS}
    assert len(list(state.glob("crash-*.txt"))) == KEPT
    left = [path for place in (state, runtime) for path in place.rglob("*") if path.is_file()]
    assert not [path for path in left if path.name.startswith(".")], "no temporary file"
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in left)


def _whole(state: Path, runtime: Path) -> int:
    """How many files could be looked at; each of them must be whole."""
    looks = 0
    files = [state / "columns.json", state / "last" / "ops" / "rules.json", *runtime.glob("ops/token-*")]
    for file in files:
        try:
            text = file.read_text()
        except FileNotFoundError:
            continue
        json.loads(text)
        looks += 1
    for report in state.glob("crash-*.txt"):
        looks += report.suffix == ".txt"
    return looks
