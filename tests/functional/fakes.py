"""Feeds, sessions and rows made by hand, for the tests of the screen. `python -m tests.functional.fakes` shows them."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from qostui.domain.credential import Credential, Proof
from qostui.domain.errors import ConnectionProblem, CredentialProblem, Problem
from qostui.domain.profile import Identity, Profile, Secret, host_text
from qostui.domain.request import FtsFile, Request, Totals
from qostui.domain.rse import Door, Rse
from qostui.domain.rule import Rule
from qostui.domain.table import Column, Fact, View
from qostui.domain.text import clean
from qostui.services import errands
from qostui.services.errands import Errand
from qostui.services.feeds import Cancel, Cancelled, Changes, FeedStatus
from qostui.services.lanes import Lanes
from qostui.services.ports_credentials import DeviceCode
from qostui.services.views import credentials, requests, rses, rules
from qostui.services.warnings import Ending, Watch

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


@dataclass
class FakeDesk:
    """A desk that writes down what it is told, and answers as the test wants: with a sentence, or by raising a Problem."""

    keyring: str = ""
    encrypted: bool = False
    pass_phrase: str = "sesame7f3a"
    """What opens the key and the keyring file."""
    problem: Problem | None = None
    """Raised by the next work."""
    gate: threading.Event | None = None
    """Work waits for it."""
    code: DeviceCode | None = None
    command: tuple[str, ...] = ("voms-proxy-init", "--voms", "escape")
    opened: bool = False
    told: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)

    def _work(self, name: str, *arguments: Any) -> None:
        self.threads.add(threading.current_thread().name)
        self.told.append((name, arguments))
        if self.gate is not None:
            self.gate.wait(30)
        if self.problem is not None:
            problem, self.problem = self.problem, None
            raise problem

    def needs_pass_phrase(self) -> str:
        return "" if self.opened else self.keyring

    def open_keyring(self, pass_phrase: Secret) -> None:
        if pass_phrase.reveal() != self.pass_phrase:
            raise CredentialProblem("the pass phrase does not open the keyring file", step="try again")
        self.opened = True

    def key_is_encrypted(self) -> bool:
        return self.encrypted

    def make_proxy(self, pass_phrase: Secret | None, hours: float) -> str:
        self._work("proxy", hours)
        if self.encrypted and (pass_phrase is None or pass_phrase.reveal() != self.pass_phrase):
            raise CredentialProblem("the pass phrase does not open the key", step="try again")
        return f"proxy until {NOW + timedelta(hours=hours):%H:%M}Z in /run/proxy"

    def voms_command(self) -> tuple[Sequence[str], dict[str, str]]:
        self._work("voms")
        return self.command, {"PATH": "/usr/bin:/bin"}

    def check_proxy(self, exit_status: int) -> str:
        self._work("check", exit_status)
        if exit_status:
            raise CredentialProblem(f"voms-proxy-init ended with {exit_status}", step="see what it said")
        return "VOMS proxy of escape until 23:00Z"

    def log_in(self, told: Callable[[DeviceCode], None], cancel: Cancel) -> str:
        done = threading.Event()
        cancel.closes(done.set)
        told(self.code or DeviceCode("https://op.example/device", "WDJB-MJHT", "", NOW + timedelta(minutes=10)))
        if self.gate is not None:
            while not self.gate.wait(0.01):
                if done.is_set():
                    self.told.append(("cancelled", ()))
                    raise Cancelled
        self._work("log-in")
        return "logged in as alice"

    def refresh(self) -> str:
        self._work("refresh")
        return "new token until 13:00Z"

    def narrow(self, scope: str, audience: str) -> Path:
        self._work("narrow", scope, audience)
        return Path("/run/narrow.token")

    def macaroon(self, address: str, activities: Sequence[str], minutes: int) -> Path:
        self._work("macaroon", address, tuple(activities), minutes)
        return Path("/run/macaroon")

    def delegate(self) -> datetime:
        self._work("delegate")
        return NOW + timedelta(hours=6)

    def take_file(self, path: Path) -> str:
        self._work("import", path)
        return f"proxy of alice taken from {path}"

    def export(self, credential_id: str, path: Path) -> str:
        self._work("export", credential_id, path)
        return f"written to {path}"

    def drop(self, credential_id: str) -> str:
        self._work("drop", credential_id)
        return "proxy deleted, session ended"


@dataclass(frozen=True)
class Answer:
    """A row of a fake report."""

    key: str
    words: str


REPORT: View[Answer] = View(
    id="answers",
    title="Answers",
    columns=(
        Column("key", "DOOR", lambda r, now: clean(r.key), lambda r: r.key, 20, letter="d"),
        Column("words", "ANSWER", lambda r, now: clean(r.words), lambda r: r.words, letter="a"),
    ),
    order=(("key", False),),
    detail=lambda row, now: (Fact("all of it"), Fact("answer", clean(row.words))),
    record=lambda row: {"key": row.key},
)


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
        self.desk = FakeDesk()
        self.lanes = Lanes()
        self.reports: dict[str, Callable[[Cancel], Iterator[Sequence[Answer]]]] = {}
        self.ran: list[tuple[tuple[str, ...], dict[str, str]]] = []
        """Programs that were run on the terminal."""
        self.exit_status = 0
        self._watch = Watch()

    def begin(self, name: str, work: Callable[..., Any], told: Callable[..., None], *, time_limit_s: float = 60.0) -> Errand:
        return errands.begin(self.lanes, name, lambda cancel: work(self.desk, cancel), told, time_limit_s)

    def report(self, name: str, take: Callable[..., None], told: Callable[..., None]) -> Errand:
        def read(cancel: Cancel) -> None:
            for batch in self.reports[name](cancel):
                take(batch)

        return errands.begin(self.lanes, name, read, told, 60.0)

    def report_view(self, name: str) -> View[Any]:
        return REPORT

    def on_terminal(self, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
        self.ran.append((tuple(arguments), dict(environment)))
        return self.exit_status

    def endings(self, now: datetime) -> list[Ending]:
        return self._watch.look(self.feeds["credentials"].rows.values(), now)

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
        self.lanes.close()


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
    """A session, a proxy with an attribute certificate that ends first, a token that has expired."""
    seen = NOW - timedelta(minutes=2)
    return [
        Credential(
            "1",
            "Rucio session",
            "ops @ localhost:21443",
            "log-in by x509_proxy",
            NOW + timedelta(minutes=38),
            NOW - timedelta(minutes=22),
            note="made in this run, renews itself",
            proofs=(Proof("whoami", True, seen),),
            actions=("drop",),
            renews=True,
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
            proofs=tuple(Proof(f"RSE-{number} davs", True, seen) for number in range(5)),
            actions=("proxy", "voms", "delegate", "macaroon", "import", "export", "drop"),
        ),
        Credential(
            "2.1",
            "VOMS AC",
            "/escape/Role=operator",
            "in the proxy",
            NOW + timedelta(minutes=52),
            NOW - timedelta(hours=11),
            groups=("/escape/Role=operator", "/escape"),
            vo="escape",
            note="signature not verified",
            actions=("voms",),
            ends_before="the proxy",
        ),
        Credential(
            "3",
            "Access token",
            "alice · aud https://wlcg.cern.ch/jwt/v1/any",
            "~/.config/qostui/token",
            NOW - timedelta(minutes=3),
            NOW - timedelta(hours=1),
            scopes=("storage.read:/", "storage.modify:/"),
            audience=("https://wlcg.cern.ch/jwt/v1/any",),
            problem="expired",
            proofs=(
                Proof("GSI-ROOT davs", True, seen),
                Proof("GSI-ROOT roots", False, seen, "audience is https://wlcg.cern.ch/jwt/v1/any, the door wants https://gsi-root:2094"),
            ),
            actions=("log-in", "refresh", "narrow"),
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
    `busy` twenty times under a clock that stands still. `lend` has a program of its own in the place of voms-proxy-init,
    `hang` work with credentials that never ends.
    """
    import os

    from qostui.adapters import on_terminal
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
        if "lend" in arguments:
            session.desk.command = ("/bin/sh", "-c", "echo who are you; read name; echo hello $name; exec sleep 60")
            session.on_terminal = on_terminal.run  # type: ignore[method-assign]
        session.desk.gate = threading.Event() if "hang" in arguments else None
        session.desk.code = DeviceCode(
            "https://op.example/device", "WDJB-MJHT", "https://op.example/device?user_code=WDJB-MJHT", NOW + timedelta(minutes=10)
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
