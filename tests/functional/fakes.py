"""Feeds, sessions and rows made by hand, for the tests of the screen. `python -m tests.functional.fakes` shows them."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from qostui.domain.credential import Credential
from qostui.domain.errors import ConnectionProblem, Problem
from qostui.domain.profile import Identity, Profile, host_text
from qostui.domain.request import FtsFile, Request, Totals
from qostui.domain.rse import Door, Rse
from qostui.domain.rule import Rule
from qostui.domain.table import View
from qostui.domain.text import clean
from qostui.services.feeds import Changes, FeedStatus
from qostui.services.views import credentials, requests, rses, rules

NOW = datetime(2026, 11, 22, 12, 4, 31, tzinfo=UTC)
VIEWS: tuple[View[Any], ...] = (rses.VIEW, rules.VIEW, requests.VIEW, credentials.VIEW)
TB, GB = 10**12, 10**9


class FakeFeed:
    """A FeedPort whose rows and status the test sets."""

    def __init__(self, rows: Iterable[Any] = (), good_at: datetime | None = NOW - timedelta(seconds=2)) -> None:
        self.rows: dict[str, Any] = {}
        self.refreshed = 0
        self.drained = 0
        self._lock = threading.Lock()
        self._upserted: dict[str, Any] = {}
        self._removed: set[str] = set()
        self._unconfirmed = frozenset[str]()
        self._told: Callable[[], None] = lambda: None
        self._status = FeedStatus("live", good_at=good_at)
        self.put(*rows)

    @property
    def status(self) -> FeedStatus:
        return replace(self._status, count=len(self.rows), unconfirmed=len(self._unconfirmed))

    def put(self, *rows: Any) -> None:
        """Rows from the server."""
        with self._lock:
            for row in rows:
                self.rows[row.key] = row
                self._upserted[row.key] = row
                self._removed.discard(row.key)
        self._told()

    def remove(self, *keys: str) -> None:
        """Rows that are gone."""
        with self._lock:
            for key in keys:
                del self.rows[key]
                self._upserted.pop(key, None)
                self._removed.add(key)
        self._told()

    def set(self, state: str, **values: Any) -> None:
        """Another status."""
        self._status = replace(self._status, state=state, **values)

    def fail(self, problem: Problem, next_try: datetime) -> None:
        """The source fails; its rows stay, unconfirmed."""
        self._unconfirmed = frozenset(self.rows)
        self.set("failed", problem=problem, next_try=next_try)
        self._told()

    def listen(self, told: Callable[[], None]) -> None:
        self._told = told
        told()

    def drain(self) -> Changes[Any]:
        self.drained += 1
        with self._lock:
            changes = Changes(self._upserted, frozenset(self._removed), self._unconfirmed)
            self._upserted, self._removed = {}, set()
        return changes

    def refresh(self) -> None:
        self.refreshed += 1


class FakeSession:
    """A session of four fake feeds."""

    def __init__(self, profile: Profile, feeds: Mapping[str, FakeFeed], expiry: timedelta = timedelta(minutes=52)) -> None:
        self.profile = profile
        self.views = VIEWS
        self.feeds = dict(feeds)
        self.watched: set[str] = set()
        self.closed = False
        self.problem: Problem | None = None
        self.expiry = expiry

    def feed(self, view_id: str) -> FakeFeed:
        return self.feeds[view_id]

    def identity(self) -> Identity:
        return Identity(
            profile=self.profile.name,
            host=host_text(self.profile.rucio_host),
            account=self.profile.account,
            method=self.profile.auth,
            subject=clean("/escape/Role=operator"),
            read_only=self.profile.read_only,
            color=self.profile.color,
            next_expiry=(clean("VOMS AC"), NOW + self.expiry),
            problem=self.problem,
        )

    def watch(self, view_ids: set[str]) -> None:
        self.watched = set(view_ids)

    def close(self) -> None:
        self.closed = True


@dataclass(frozen=True)
class FakeSettings:
    """What the console reads of the settings."""

    profiles: Mapping[str, Profile]
    theme: str = "qostui"
    theme_over_ssh: str = ""
    keymap: Mapping[str, str] = field(default_factory=dict)
    key_faults: tuple[str, ...] = ()
    state_dir: Path = Path("/nonexistent")
    read_only: bool = False


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("lake-ops", "https://localhost:21443", "ops", "x509_proxy", color="#1f6f4a"),
        Profile("lake-alice", "https://localhost:21443", "alice", "oidc", color="#5b3fa0"),
        Profile("lake-reader", "https://localhost:21443", "reader", "userpass", read_only=True),
        Profile("production", "https://rucio.escape.example:443", "ops", "x509", color="#a01c1c"),
    )
}


def door(scheme: str, host: str, port: int, prefix: str, order: int = 1) -> Door:
    """A door that offers everything."""
    return Door(scheme, host, port, prefix, (order,) * 3, (order,) * 3, (order, order))


def some_rses() -> list[Rse]:
    """RSEs of every kind."""

    def rse(name: str, kind: str, qos: str, free: int | None, total: int | None, *schemes: str, write: bool = True) -> Rse:
        doors = tuple(door(scheme, "localhost", 22000 + number, f"/data/{name.lower()}") for number, scheme in enumerate(schemes))
        used = total - free if total is not None and free is not None else None
        attributes = (("QOS", qos), ("fts", "https://localhost:21446"), ("site", name.split("-", maxsplit=1)[0]))
        return Rse(
            name, kind, qos, True, write, True, free, used, total, "storage", NOW - timedelta(minutes=3), used, 120, doors, attributes
        )

    return [
        rse("DESY-DCACHE", "DISK", "CHEAP-ANALYSIS", 12 * GB, 800 * GB, "davs", "root", "gsiftp"),
        rse("EULAKE-1", "DISK", "OPPORTUNISTIC", 91 * GB, 1000 * GB, "davs"),
        rse("GSI-ROOT", "DISK", "CHEAP-ANALYSIS", 412 * GB, 800 * GB, "root", "davs"),
        rse("INFN-TAPE", "TAPE", "SAFE", 40 * TB, 90 * TB, "davs", "root"),
        rse("LAPP-WEBDAV", "DISK", "FAST", 3 * TB, 4 * TB, "davs", "root", write=False),
        rse("LEGACY-GSIFTP", "DISK", "CHEAP-ANALYSIS", 200 * GB, 300 * GB, "gsiftp"),
        rse("PIC-INJECT", "DISK", "", None, None, "davs"),
        rse("SARA-DCACHE", "DISK", "SAFE", 700 * GB, 900 * GB, "davs", "root"),
    ]


def a_rule(name: str, state: str = "OK", **values: Any) -> Rule:
    """A rule; its id is its name."""
    scope, _, did = name.partition(":")
    defaults: dict[str, Any] = {
        "did_type": "DATASET",
        "account": "ops",
        "rse_expression": "QOS=SAFE",
        "copies": 2,
        "bytes": 96 * GB,
        "length": 100,
        "activity": "Data Ingest",
        "priority": 3,
        "locks_ok_cnt": 200 if state == "OK" else 0,
        "created_at": NOW - timedelta(days=2),
    }
    return Rule(id=name, scope=scope, name=did, state=state, **(defaults | values))


def some_rules() -> list[Rule]:
    """Rules in every state."""
    return [
        a_rule(
            "fair:raw.run0042",
            "STUCK",
            copies=3,
            locks_ok_cnt=71,
            locks_replicating_cnt=11,
            locks_stuck_cnt=18,
            bytes=1200 * GB,
            error="TRANSFER [70] TRANSFER HTTP 507 : Insufficient Storage at DESY-DCACHE (davs)",
            created_at=NOW - timedelta(hours=3),
        ),
        a_rule(
            "cbm:aod.v3",
            "REPLICATING",
            rse_expression="QOS=CHEAP-ANALYSIS",
            locks_ok_cnt=43,
            locks_replicating_cnt=57,
            bytes=310 * GB,
            created_at=NOW - timedelta(minutes=12),
        ),
        a_rule(
            "ska:sdc1",
            "STUCK",
            copies=1,
            rse_expression="QOS=FAST",
            locks_stuck_cnt=4,
            bytes=18 * GB,
            error="RequestErrMsg.NO_SOURCES",
            created_at=NOW - timedelta(days=1),
        ),
        a_rule("lofar:L246810", "WAITING_APPROVAL", bytes=4 * TB, created_at=NOW - timedelta(hours=2)),
        a_rule("panda:sim.2026.batch7", "SUSPENDED", bytes=12 * GB, created_at=NOW - timedelta(days=5)),
        a_rule("magic:inject.test", "INJECT", bytes=2 * GB, created_at=NOW - timedelta(minutes=2)),
        a_rule("cta:dl1.2026-11-20", expires_at=NOW + timedelta(days=28)),
        a_rule("atlas:user.demo.root", comments="for the demonstration"),
        *(a_rule(f"fair:calib.{number:04d}", created_at=NOW - timedelta(days=3, minutes=number)) for number in range(30)),
    ]


def some_requests() -> list[Request]:
    """Requests, and totals of links."""

    def request(name: str, state: str, source: str, dest: str, **values: Any) -> Request:
        defaults: dict[str, Any] = {
            "scope": "fair",
            "name": name,
            "request_type": "T",
            "bytes": 1200 * 10**6,
            "activity": "Data Ingest",
            "account": "ops",
            "priority": 3,
            "rule_id": "fair:raw.run0042",
            "created_at": NOW - timedelta(minutes=12),
        }
        return Request(name, state, source, dest, **(defaults | values))

    reason = "DESTINATION [28] DESTINATION OVERWRITE HTTP 507 : Insufficient Storage"
    return [
        request(
            "raw.run0042.f017",
            "FAILED",
            "GSI-ROOT",
            "DESY-DCACHE",
            external_id="5f2c",
            external_host="https://localhost:21446",
            retry_count=2,
            fts=FtsFile("FINISHED", "FAILED", reason),
            err_msg=reason,
        ),
        request("raw.run0042.f018", "SUBMITTED", "GSI-ROOT", "DESY-DCACHE", external_id="5f2d", fts=FtsFile("ACTIVE", "ACTIVE")),
        request("raw.run0042.f019", "SUBMITTED", "GSI-ROOT", "EULAKE-1", external_id="5f2e", fts=FtsFile("SUBMITTED", "SUBMITTED")),
        request(
            "L246810.f1", "SUBMITTED", "INFN-TAPE", "SARA-DCACHE", external_id="5f2f", fts=FtsFile("STAGING", "STAGING"), scope="lofar"
        ),
        *(request(f"aod.v3.f{number:03d}", "QUEUED", "", "EULAKE-1", scope="cbm") for number in range(12)),
        request("sdc1.f1", "NO_SOURCES", "", "LAPP-WEBDAV", scope="ska", err_msg="RequestErrMsg.NO_SOURCES"),
        Request(
            "link:GSI-ROOT:DESY-DCACHE",
            "LINK",
            "GSI-ROOT",
            "DESY-DCACHE",
            totals=Totals(40, 40 * GB, 71, 180, 18, 30, 71 * GB, 180 * GB, 1),
        ),
        Request("link:GSI-ROOT:EULAKE-1", "LINK", "GSI-ROOT", "EULAKE-1", totals=Totals(12, 9 * GB, 100, 210, 0, 0, 80 * GB, 170 * GB, 2)),
    ]


def some_credentials() -> list[Credential]:
    """A proxy with an attribute certificate, tokens, a session."""
    return [
        Credential(
            "1",
            "Rucio session",
            "ops @ localhost:21443",
            "profile (x509_proxy)",
            NOW + timedelta(minutes=38),
            NOW - timedelta(minutes=22),
            note="renews itself",
        ),
        Credential(
            "2",
            "X.509 proxy",
            "/DC=test/DC=qostui/CN=alice",
            "$X509_USER_PROXY",
            NOW + timedelta(hours=9, minutes=12),
            NOW - timedelta(hours=3),
            issuer="/DC=test/DC=qostui/CN=alice",
            note="RFC 3820, 2048 bits",
        ),
        Credential(
            "2.1",
            "VOMS AC",
            "escape",
            "in the proxy",
            NOW + timedelta(minutes=52),
            NOW - timedelta(hours=11),
            groups=("/escape/Role=operator", "/escape"),
        ),
        Credential(
            "3",
            "Access token",
            "alice",
            "~/.config/qostui/token",
            NOW - timedelta(minutes=3),
            NOW - timedelta(hours=1),
            scopes=("storage.read:/", "storage.modify:/"),
            audience=("https://wlcg.cern.ch/jwt/v1/any",),
            problem="expired",
        ),
    ]


def feeds() -> dict[str, FakeFeed]:
    """The four feeds with their rows."""
    return {
        "rses": FakeFeed(some_rses()),
        "rules": FakeFeed(some_rules()),
        "requests": FakeFeed(some_requests()),
        "credentials": FakeFeed(some_credentials()),
    }


def _live(session: FakeSession, every: float = 0.5) -> None:
    """Make things happen in the rules, for a look at the screen."""
    chance = random.Random(1)  # noqa: S311  # a picture, not a secret
    feed = session.feed("rules")
    while not session.closed:
        time.sleep(every)
        row = chance.choice([rule for rule in feed.rows.values() if rule.state == "REPLICATING"] or list(feed.rows.values()))
        feed.put(replace(row, locks_ok_cnt=(row.locks_ok_cnt + 1) % 101, locks_replicating_cnt=100 - (row.locks_ok_cnt + 1) % 101))
        if every >= 0.5:
            feed.set("live", good_at=datetime.now(UTC))


def demo(arguments: list[str]) -> int:
    """Show the console over fakes.

    `fail`, `empty`, `first`, `ssh`, `theme=NAME` and `themes=DIRECTORY` show other things; `live` changes rules twice a second,
    `busy` twenty times under a clock that stands still.
    """
    import os

    from qostui.ui import terminal

    line = terminal.line({}, "ssh" in arguments)
    terminal.prepare(os.environ, line)
    from qostui.ui.app import serve
    from qostui.ui.console import QostuiApp

    frozen = "live" not in arguments

    def opened(profile: Profile) -> FakeSession:
        session = FakeSession(profile, feeds() if "empty" not in arguments else {view.id: FakeFeed() for view in VIEWS})
        if "fail" in arguments:
            for each in session.feeds.values():
                each.fail(
                    ConnectionProblem("localhost:21443 does not answer", step="is the lake up? qostui lake status"),
                    NOW + timedelta(seconds=8),
                )
        if not frozen or "busy" in arguments:
            threading.Thread(target=_live, args=(session, 0.05 if frozen else 0.5), daemon=True).start()
        return session

    given = dict(word.split("=", 1) for word in arguments if "=" in word)
    app = QostuiApp(
        FakeSettings(PROFILES, theme=given.get("theme", "qostui"), state_dir=Path("/tmp/qostui-fakes")),
        None if "first" in arguments else "lake-ops",
        opened,
        now=(lambda: NOW) if frozen else (lambda: datetime.now(UTC)),
        theme_directories=(Path(given["themes"]),) if "themes" in given else (),
        line=line,
    )
    return serve(app)


if __name__ == "__main__":
    sys.exit(demo(sys.argv[1:]))
