"""Fills a Rucio catalogue with a big community's rules and requests: `python - DATABASE < fill_catalogue.py`.

Runs in the lake's interpreter as its service user; standard library only. Rows go straight into SQLite, since by the API
it would take hours. Rucio lists only rules whose DID exists (`core/rule.py: list_rules` joins them).
"""

from __future__ import annotations

import json
import random
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, product
from typing import Any

RULES, REQUESTS, DIDS = 100_000, 200_000, 40_000
DATASETS = 10_000
"""The other DIDs are files, of which the requests are."""
RULE_STATES = (("O", 81_000), ("R", 14_000), ("S", 4_600), ("U", 200), ("W", 200))
REQUEST_STATES = (("Q", 0.6), ("S", 0.3), ("F", 0.05), ("N", 0.03), ("W", 0.02))
SCOPES = ("cbm", "cta", "fair", "lofar", "ska")
ACCOUNTS = ("ops", "cta", "fair", "lofar", "ska")
EXPRESSIONS = ("QOS=SAFE", "QOS=FAST", "QOS=CHEAP-ANALYSIS", "QOS=OPPORTUNISTIC")
ACTIVITIES = ("User Subscriptions", "Production Input", "Data Consolidation", "Recovery")
NOW = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
_ERROR = "TRANSFER [70] DESTINATION OVERWRITE HTTP 507 : Insufficient Storage"


def moment(age: timedelta) -> str:
    """A time as SQLAlchemy keeps it in SQLite."""
    return (NOW - age).strftime("%Y-%m-%d %H:%M:%S.%f")


def dids(chance: random.Random) -> Iterator[dict[str, Any]]:
    """Datasets, then files."""
    for number in range(DIDS):
        dataset = number < DATASETS
        length = chance.randrange(1, 500)
        at = moment(timedelta(days=2 + number % 300, seconds=chance.randrange(40_000)))
        yield {
            "scope": SCOPES[number % len(SCOPES)],
            "name": f"raw.2026.{number:06d}" if dataset else f"file.{number:06d}.root",
            "account": "ops",
            "did_type": "D" if dataset else "F",
            "is_open": 0 if dataset else None,
            "complete": 1,
            "is_new": 0,
            "availability": "A",
            "bytes": length * chance.randrange(10**6, 10**9),
            "length": length if dataset else 1,
            "monotonic": 0,
            "hidden": 0,
            "obsolete": 0,
            "suppressed": 0,
            "purge_replicas": 0,
            "transient": 0,
            "created_at": at,
            "updated_at": at,
        }


def rules(made: list[dict[str, Any]], chance: random.Random) -> Iterator[dict[str, Any]]:
    """Ten rules for each dataset, each with another account, expression or number of copies."""
    states = [state for state, count in RULE_STATES for _ in range(count)]
    chance.shuffle(states)
    choices = list(product(ACCOUNTS, EXPRESSIONS, (1, 2, 3)))
    place = 0
    for dataset in made[:DATASETS]:
        for account, expression, copies in chance.sample(choices, RULES // DATASETS):
            state = states[place]
            place += 1
            locks = dataset["length"] * copies
            stuck = chance.randrange(1, locks + 1) if state == "S" else 0
            moving = chance.randrange(1, locks + 1) if state == "R" else 0
            at = timedelta(days=2 + place % 250, seconds=chance.randrange(80_000))
            yield {
                "id": f"{chance.getrandbits(128):032x}",
                "account": account,
                "scope": dataset["scope"],
                "name": dataset["name"],
                "did_type": "D",
                "state": state,
                "error": _ERROR if state == "S" else None,
                "rse_expression": expression,
                "copies": copies,
                "expires_at": moment(timedelta(days=-30)) if place % 3 == 0 else None,
                "locked": 0,
                "locks_ok_cnt": 0 if state in "UW" else locks - stuck - moving,
                "locks_replicating_cnt": moving,
                "locks_stuck_cnt": stuck,
                "activity": ACTIVITIES[place % len(ACTIVITIES)],
                "grouping": "D",
                "notification": "N",
                "stuck_at": moment(timedelta(hours=30)) if state == "S" else None,
                "purge_replicas": 0,
                "ignore_availability": 0,
                "ignore_account_limit": 0,
                "priority": 3,
                "comments": f"campaign {place % 40}" if place % 4 == 0 else None,
                "split_container": 0,
                "created_at": moment(at),
                "updated_at": moment(at - timedelta(hours=20)),
            }


def requests(made: list[dict[str, Any]], owners: list[str], rses: list[str], fts: str, chance: random.Random) -> Iterator[dict[str, Any]]:
    """Requests of files between all pairs of RSEs."""
    files = made[DATASETS:]
    letters = chance.choices([state for state, _ in REQUEST_STATES], [share for _, share in REQUEST_STATES], k=REQUESTS)
    for number, state in enumerate(letters):
        file = files[number % len(files)]
        source, destination = chance.sample(rses, 2)
        at = timedelta(hours=24, seconds=chance.randrange(400_000))
        handed_over = state in "SF"
        yield {
            "id": f"{chance.getrandbits(128):032x}",
            "request_type": "T",
            "scope": file["scope"],
            "name": file["name"],
            "did_type": "F",
            "dest_rse_id": destination,
            "source_rse_id": source,
            "attributes": json.dumps({"activity": ACTIVITIES[number % 4], "bytes": file["bytes"], "lifetime": None}),
            "state": state,
            "external_id": f"{chance.getrandbits(128):032x}" if handed_over else None,
            "external_host": fts if handed_over else None,
            "retry_count": 3 if state == "F" else 0,
            "err_msg": _ERROR if state == "F" else None,
            "rule_id": owners[number % len(owners)],
            "activity": ACTIVITIES[number % 4],
            "bytes": file["bytes"],
            "account": "ops",
            "priority": 3,
            "transfertool": "fts3" if handed_over else None,
            "requested_at": moment(at),
            "submitted_at": moment(at - timedelta(hours=1)) if handed_over else None,
            "created_at": moment(at),
            "updated_at": moment(at - timedelta(hours=2)),
        }


def insert(database: sqlite3.Connection, table: str, rows: Iterable[dict[str, Any]]) -> int:
    """Insert all rows, which have the same columns; how many they were."""
    rows, count, statement = iter(rows), 0, ""
    while batch := list(islice(rows, 5000)):
        if not statement:
            columns = list(batch[0])
            statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(f':{name}' for name in columns)})"
        database.executemany(statement, batch)
        count += len(batch)
    return count


def main(path: str, fts: str) -> int:
    """Fill the catalogue at `path`, where nobody else may write meanwhile."""
    chance = random.Random(5)
    database = sqlite3.connect(path)
    database.execute("PRAGMA synchronous = OFF")
    rses = [row[0] for row in database.execute("SELECT id FROM rses ORDER BY rse")]
    with database:
        made = list(dids(chance))
        print(insert(database, "dids", made), "DIDs", flush=True)
        listed = list(rules(made, chance))
        print(insert(database, "rules", listed), "rules", flush=True)
        busy = [rule["id"] for rule in listed if rule["state"] in "RS"]
        print(insert(database, "requests", requests(made, busy, rses, fts, chance)), "requests", flush=True)
    database.execute("ANALYZE")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
