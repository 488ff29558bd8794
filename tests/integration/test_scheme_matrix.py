"""Which scheme Rucio will choose for a third-party copy between any two RSEs of the lake, worked out by Rucio itself."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from qostui.lake.inside import topology
from tests.lakes import Lake

SCRIPT = Path(__file__).resolve().parents[1] / "inside" / "scheme_matrix.py"
TIME_LIMIT_S = 60


@pytest.fixture(scope="module")
def matrix(lake: Lake) -> dict[str, Any]:
    """What the script printed; it goes in by stdin because the services' user may not read a checkout."""
    state = lake.state
    as_services: dict[str, Any] = {}
    if os.geteuid() == 0:
        as_services = {"user": lake.facts.user, "group": state.live.stat().st_gid, "extra_groups": []}
    done = subprocess.run(
        [str(state.python), "-P", "-"],
        input=SCRIPT.read_text(),
        env={
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "RUCIO_HOME": str(state.rucio_home),
            "RUCIO_CONFIG": str(state.rucio_home / "etc" / "rucio.cfg"),
        },
        cwd="/",
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_S,
        check=False,
        **as_services,
    )
    assert done.returncode == 0, done.stderr
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def _drawn(chosen: dict[str, dict[str, list[str] | None]]) -> str:
    names = [rse.name for rse in topology.RSES]
    width = max(map(len, names)) + 1
    rows = ["from \\ to".ljust(width) + "".join(name.ljust(width) for name in names)]
    for source in names:
        cells = ["." if source == to else _cell(chosen[source][to]) for to in names]
        rows.append(source.ljust(width) + "".join(cell.ljust(width) for cell in cells))
    return "\n".join(rows)


def _cell(pair: list[str] | None) -> str:
    if pair is None:
        return "-"
    return pair[0] if pair[0] == pair[1] else " > ".join(pair)


def test_each_pair_has_a_scheme_but_those_of_the_gridftp_only_storage(matrix: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    chosen = matrix["chosen"]
    with capsys.disabled():
        print(f"\nSchemes of third-party copies (Rucio searches {', '.join(matrix['schemes'])}):\n{_drawn(chosen)}")
    names = {rse.name for rse in topology.RSES}
    gridftp_only = {rse.name for rse in topology.RSES if {scheme for scheme, _ in rse.doors} == {"gsiftp"}}
    assert gridftp_only == {"CNAF-GRIDFTP"}
    pairs = {(source, to) for source in names for to in names if source != to}
    assert {(source, to) for source, row in chosen.items() for to in row} == pairs
    empty = {(source, to) for source, to in pairs if chosen[source][to] is None}
    assert empty == {pair for pair in pairs if gridftp_only & set(pair)}


def test_webdav_is_chosen_wherever_both_sides_have_it(matrix: dict[str, Any]) -> None:
    with_webdav = [rse.name for rse in topology.RSES if "davs" in dict(rse.doors)]
    assert len(with_webdav) == len(topology.RSES) - 1
    for source in with_webdav:
        for to in with_webdav:
            assert source == to or matrix["chosen"][source][to] == ["davs", "davs"], (source, to)


def test_gridftp_is_configured_and_this_rucio_filters_it_out(matrix: dict[str, Any]) -> None:
    assert "gsiftp" in matrix["configured"]
    assert "gsiftp" not in matrix["schemes"]
    assert {"davs", "root"} <= set(matrix["schemes"])
