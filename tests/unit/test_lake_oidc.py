"""The lake's OpenID provider: its flows run in the lake's environment, which alone has Authlib and Flask."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
FLOWS = REPOSITORY / "tests" / "inside" / "oidc_flows.py"
LEAST_FLOWS = 40
TIME_LIMIT_S = 180


def test_flows_of_the_provider(tmp_path: Path) -> None:
    python = os.environ.get("QOSTUI_LAKE_PYTHON")
    if not python:
        pytest.fail("QOSTUI_LAKE_PYTHON does not name the lake's interpreter: run `make setup`, or set it to <lake state>/env/bin/python")
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "LANG": "C.UTF-8",
        "PYTHONPATH": f"{REPOSITORY / 'qostui' / 'lake'}:{FLOWS.parent}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [python, "-P", str(FLOWS)], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=TIME_LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    ran = next((line for line in done.stderr.splitlines() if line.startswith("Ran ")), "")
    assert int((ran.split() or ["", "0"])[1]) >= LEAST_FLOWS, done.stderr
