"""The last good rows of each profile on disk, so that the console shows useful, dated rows before the first answer.

One JSON file for each view, 0600 in a 0700 directory; no row holds a secret. A file of another version, another
identity or another shape of rows is ignored.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ..domain.credential import Credential, Proof
from ..domain.profile import Profile
from ..domain.request import FtsFile, Request, Totals
from ..domain.rse import Door, Rse
from ..domain.rule import Rule
from ..domain.table import Row
from . import files

VERSION = 2
MAX_ROWS = 2000
_KINDS: dict[str, type] = {kind.__name__: kind for kind in (Rse, Door, Rule, Request, FtsFile, Totals, Credential, Proof)}


def _identity(profile: Profile) -> list[str]:
    """(instance, account, log-in): when any of them changes, what was kept is another identity's."""
    return [
        profile.rucio_host,
        profile.login_host,
        profile.vo,
        profile.account,
        profile.auth,
        profile.login_name,
        str(profile.certificate),
        str(profile.proxy),
        str(profile.token_file),
        profile.oidc_agent,
        profile.issuer,
        profile.client_id,
    ]


def _encode(value: Any) -> Any:
    if is_dataclass(value):
        return {"$": type(value).__name__} | {entry.name: _encode(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, datetime):
        return {"$t": value.isoformat()}
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    return value


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_decode(item) for item in value)
    if isinstance(value, dict):
        if "$t" in value:
            return datetime.fromisoformat(value["$t"])
        kind = _KINDS[value.pop("$")]
        return kind(**{name: _decode(item) for name, item in value.items()})
    return value


class SnapshotDirectory:
    """The snapshots of one profile."""

    def __init__(self, state_dir: Path, profile: Profile) -> None:
        self._directory = state_dir / "last" / profile.name
        self._identity = _identity(profile)

    def load(self, view_id: str) -> tuple[Sequence[Row], datetime] | None:
        """Rows and when they were good; None when there are none or they cannot be read."""
        try:
            kept = json.loads((self._directory / f"{view_id}.json").read_text(encoding="utf-8"))
            if kept["version"] != VERSION or kept["of"] != self._identity:
                return None
            return _decode(kept["rows"]), datetime.fromisoformat(kept["good_at"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, view_id: str, rows: Sequence[Row], good_at: datetime) -> None:
        """Replace the kept rows in one step; a full disk or a read-only home costs only the next start's first rows."""
        encoded = [_encode(row) for row in rows[:MAX_ROWS]]
        document = {"version": VERSION, "of": self._identity, "good_at": good_at.isoformat(), "rows": encoded}
        with contextlib.suppress(OSError):
            files.replace(self._directory / f"{view_id}.json", json.dumps(document))
