"""The budgets: one table, read in one place. A ratio is to something real measured in the same run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Budget:
    """What one figure may be at most."""

    what: str
    unit: str
    beside: str = ""
    """Name of the comparison that judges; "" for an absolute budget."""
    ratio: float | None = None
    """At most so many times the comparison."""
    most: float | None = None
    """At most this, in the unit; neither ratio nor most: told, not judged."""


_BARE_KEY = "bare app, key to paint p95"
_BARE_START = "bare app, first paint"

BUDGETS = {
    "version": Budget("qostui --version, CPU", "ms", "rucio --version", ratio=0.35),
    "start-kept": Budget("start to first useful rows, of the last run", "ms", _BARE_START, ratio=1.6),
    "start-live": Budget("start to first live rows, token cached", "ms", _BARE_START, ratio=5.0),
    "down-p95": Budget("Down to the row itself, 100k rows, 1,000 updates/s, p95", "ms", _BARE_KEY, ratio=6.0),
    "down-p99": Budget("Down to the row itself, p99", "ms", _BARE_KEY, ratio=15.0),
    "pgdn-p95": Budget("PgDn to the row itself, 100k rows, 1,000 updates/s, p95", "ms", _BARE_KEY, ratio=6.0),
    "pgdn-p99": Budget("PgDn to the row itself, p99", "ms", _BARE_KEY, ratio=15.0),
    "bytes-120x40": Budget("bytes for one changed cell, 120x40", "B", "DataTable", most=500),
    "bytes-200x60": Budget("bytes for one changed cell, 200x60", "B", "DataTable", most=700),
    "idle": Budget("CPU while 40 visible rows are refreshed each second", "%", "DataTable", most=1.0),
    "hidden": Budget("bytes for changes in a hidden pane, 10 s at 1,000/s", "B", most=0),
    "memory-made": Budget("memory with 100k made-up rules", "MiB", "DataTable", most=150),
    "memory-rucio": Budget("memory with 100k rules from Rucio, its client loaded", "MiB", most=150),
    "listing": Budget("100k rules from Rucio into the table", "s", "curl", ratio=1.2),
    "first-rows": Budget("first rows after the listing is asked for", "s", most=0.3),
    "stream-p95": Budget("Down to the row itself while 100k rules stream in, p95", "ms", _BARE_KEY, ratio=6.0),
    "stream-p99": Budget("Down to the row itself while they stream in, p99", "ms", _BARE_KEY, ratio=15.0),
    "switch": Budget("profile switch to first live rows, token cached", "ms", "one HTTP session", ratio=2.5),
    "gfal-start": Budget("gfal2 worker, start to its first answer", "ms", "python3 -c 'import gfal2'", ratio=2.0),
    "gfal-kill": Budget("kill of a gfal2 worker that hangs", "ms", most=50),
    "slow-line": Budget("Down to the row, 256 kbit/s and 150 ms each way, p95", "ms", "two round trips", ratio=1.0),
    "slow-line-pgdn": Budget("PgDn to the row, the same line, p95", "ms", "two round trips"),
}
