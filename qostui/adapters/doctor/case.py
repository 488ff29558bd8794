"""What one examination looks at, and what its checks share: each server is asked once, however many checks want to know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from ...domain.errors import Problem
from ...domain.finding import FAULT, NOTE, OK, WARNING, Finding
from ...domain.profile import Profile, host_text
from ...domain.rse import Rse
from ...services.feeds import Cancel
from ...services.ports import Preferences

if TYPE_CHECKING:
    from ..rucio import Connection
    from ..rucio_session import TokenBox

T = TypeVar("T")
MAX_RSES = 200
"""Doors of so many RSEs at most are looked at: a doctor's visit is no survey."""


@dataclass
class _Kept:
    lock: Lock = field(default_factory=Lock)
    values: list[Any] = field(default_factory=list)
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Pulse:
    """What Rucio says to somebody whom it does not know."""

    version: str
    """"" when it does not say."""
    skew: timedelta
    """The server's clock minus ours, as far as its `Date` header (whole seconds) proves a difference."""


class Case:
    """One profile on this machine; without a profile, the machine alone."""

    def __init__(self, profile: Profile | None, settings: Preferences) -> None:
        self.profile = profile
        self.settings = settings
        self._lock = Lock()
        self._kept: dict[str, _Kept] = {}

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What `make` returns or the Problem it raises, made at the first call only; others wait for it meanwhile."""
        with self._lock:
            kept = self._kept.setdefault(name, _Kept())
        with kept.lock:
            if not kept.values and kept.problem is None:
                try:
                    kept.values.append(make())
                except Problem as problem:
                    kept.problem = problem
            if kept.problem is not None:
                raise kept.problem
            value: T = kept.values[0]
            return value

    def pulse(self, cancel: Cancel) -> Pulse:
        """Rucio's answer to /ping, which needs no log-in; raises Problem."""
        return self.once("pulse", lambda: _pulse(self._known(), cancel))

    def log_in(self, cancel: Cancel) -> bool:
        """Whether Rucio took a session kept from an earlier run, and so not the credential itself (whoami).

        Raises Problem when it takes neither, or cannot be asked.
        """
        self.pulse(cancel)
        self.once("log-in", lambda: self._connected(lambda connection: connection.document("accounts/whoami", cancel)))
        return self._box().from_file

    def rses(self, cancel: Cancel) -> list[Rse]:
        """RSEs with doors and attributes, at most MAX_RSES; raises Problem, also when the log-in is refused."""
        self.log_in(cancel)
        return self.once("rses", lambda: self._connected(lambda connection: _listed(connection, cancel)))

    def _known(self) -> Profile:
        if self.profile is None:
            raise Problem("no profile, so there is no Rucio to ask")
        return self.profile

    def _box(self) -> TokenBox:
        from ..rucio_session import TokenBox

        return self.once("box", lambda: TokenBox(self._known(), Path(self.settings.runtime_dir)))

    def _connected(self, ask: Callable[[Connection], T]) -> T:
        from ..rucio import Connection

        connection = Connection(self._known(), self._box(), Path(self.settings.runtime_dir))
        try:
            return ask(connection)
        finally:
            connection.abandon()


def _pulse(profile: Profile, cancel: Cancel) -> Pulse:
    from .. import errors
    from ..http import OriginSession
    from ..rucio_session import verification

    http = OriginSession((profile.rucio_host,), verification(profile))
    cancel.closes(http.end)
    before = datetime.now(UTC)
    response = http.get(f"{profile.rucio_host.rstrip('/')}/ping", headers={"Accept": "application/json"})
    after = datetime.now(UTC)
    body = response.content[:4096]
    if response.status_code != 200:
        raise errors.from_status(response.status_code, response.headers, body, host_text(profile.rucio_host))
    try:
        document = response.json()
    except ValueError:
        document = None
    version = str(document.get("version") or "") if isinstance(document, dict) else ""
    return Pulse(version, difference(response.headers.get("Date", ""), before, after))


def difference(date: str, before: datetime, after: datetime) -> timedelta:
    """How far a `Date` header (RFC 9110 section 6.6.1) lies outside the time between call and answer; zero when it cannot be read.

    The header has whole seconds, cut off, so that a second before the call still agrees with it.
    """
    from email.utils import parsedate_to_datetime

    try:
        said = parsedate_to_datetime(date)
    except (ValueError, TypeError):
        return timedelta()
    said = said if said.tzinfo else said.replace(tzinfo=UTC)
    if said > after:
        return said - after
    return min(said - (before - timedelta(seconds=1)), timedelta())


def _listed(connection: Connection, cancel: Cancel) -> list[Rse]:
    from ..rucio_rses import RseSource

    found: list[Rse] = []
    for batch in RseSource(connection).full(cancel):
        found += batch
        if len(found) >= MAX_RSES:
            break
    return found[:MAX_RSES]


def ok(check: str, subject: object, summary: str, detail: str = "") -> Finding:
    """Nothing is wrong."""
    return Finding(check, str(subject), OK, summary, detail=detail)


def note(check: str, subject: object, summary: str, fix: str = "", detail: str = "") -> Finding:
    """Good to know, and no reason to act."""
    return Finding(check, str(subject), NOTE, summary, fix, detail)


def warning(check: str, subject: object, summary: str, fix: str, detail: str = "") -> Finding:
    """Work will stop, or stops for some."""
    return Finding(check, str(subject), WARNING, summary, fix, detail)


def fault(check: str, subject: object, summary: str, fix: str, detail: str = "") -> Finding:
    """Work stops here."""
    return Finding(check, str(subject), FAULT, summary, fix, detail)


def of_problem(check: str, subject: object, problem: Problem, fix: str = "") -> Finding:
    """The fault that a Problem is."""
    return fault(check, subject, problem.summary, fix or problem.step or "look at the detail", problem.detail)
