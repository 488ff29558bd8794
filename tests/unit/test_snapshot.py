"""The rows of the last run on disk: private, whole, and never another identity's."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from qostui.domain.credential import Credential, Proof
from qostui.domain.profile import Profile, Secret
from qostui.domain.request import FtsFile, Request, Totals
from qostui.domain.rse import Door, Rse
from qostui.domain.rule import Rule
from qostui.services.snapshot import MAX_ROWS, VERSION, SnapshotDirectory

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PROFILE = Profile("lake", "https://localhost:1", "ops", "userpass", token=Secret("s3cret"))
ROWS = (
    Rse(
        "A",
        "DISK",
        "SAFE",
        True,
        True,
        True,
        usage_at=NOW,
        doors=(Door("davs", "h", 1, "/p", wan=(1, 1, 1)),),
        attributes=(("QOS", "SAFE"),),
    ),
    Rule("1", "s", "n\x1b", "FILE", "a", "OK", "X", 1, created_at=NOW),
    Request("2", "SUBMITTED", "A", "B", fts=FtsFile("ACTIVE", started_at=NOW), totals=Totals(queued=3)),
    Credential("3", "VOMS AC", "x", "y", NOW, groups=("/escape",), proofs=(Proof("A davs", False, NOW, "no"),), actions=("voms",)),
)


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    kept = SnapshotDirectory(tmp_path, PROFILE)
    assert kept.load("rules") is None
    kept.save("rules", ROWS, NOW)
    assert kept.load("rules") == (ROWS, NOW)
    (file,) = files(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert "s3cret" not in file.read_text()


def test_another_identity_or_instance_sees_nothing_of_it(tmp_path: Path) -> None:
    SnapshotDirectory(tmp_path, PROFILE).save("rules", ROWS, NOW)
    changes = {"rucio_host": "https://localhost:2", "account": "bob", "auth": "x509", "oidc_agent": "bob", "issuer": "https://i"}
    for key, value in changes.items():
        other = replace(PROFILE, **{key: value})
        assert SnapshotDirectory(tmp_path, other).load("rules") is None


@pytest.mark.parametrize(
    "changes",
    [{"version": 99}, {"version": 1}, {"good_at": "x"}, {"rows": [{"$": "Evil"}]}, {"rows": [{"$": "Rule"}]}, {"rows": [[]], "good_at": 1}],
)
def test_what_cannot_be_taken_for_rows_is_ignored(tmp_path: Path, changes: dict[str, object]) -> None:
    kept = SnapshotDirectory(tmp_path, PROFILE)
    kept.save("rules", ROWS, NOW)
    (file,) = files(tmp_path)
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    assert kept.load("rules") is None


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "\x00"])
def test_what_cannot_be_read_is_ignored(tmp_path: Path, content: str) -> None:
    kept = SnapshotDirectory(tmp_path, PROFILE)
    kept.save("rules", ROWS, NOW)
    files(tmp_path)[0].write_text(content)
    assert kept.load("rules") is None


def test_an_unwritable_place_costs_nothing_but_the_snapshot(tmp_path: Path) -> None:
    (tmp_path / "last").write_text("in the way")
    SnapshotDirectory(tmp_path, PROFILE).save("rules", ROWS, NOW)
    assert SnapshotDirectory(tmp_path, PROFILE).load("rules") is None


def test_large_tables_are_kept_in_part(tmp_path: Path) -> None:
    kept = SnapshotDirectory(tmp_path, PROFILE)
    kept.save("rules", [replace(ROWS[1], id=str(number)) for number in range(MAX_ROWS + 5)], NOW)  # type: ignore[type-var]
    loaded = kept.load("rules")
    assert loaded is not None
    assert len(loaded[0]) == MAX_ROWS
    assert json.loads(files(tmp_path)[0].read_text())["version"] == VERSION
