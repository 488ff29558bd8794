"""What the doctor found: one fact about this machine, a credential or a server, how bad it is, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass

OK, NOTE, WARNING, FAULT = "ok", "note", "warning", "fault"
LEVELS = (FAULT, WARNING, NOTE, OK)
"""The worst first. A fault stops work now, a warning will or may, a note is good to know."""
TOPICS = {
    "trust": "Trust: CAs, CRLs, signing policies",
    "credentials": "Credentials",
    "clock": "Clock",
    "servers": "Servers, doors and their certificates",
    "voms": "VOMS",
    "software": "Software",
    "terminal": "Terminal",
    "places": "Places",
}
"""Topic -> title, in the order of a report."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of one check; texts are raw (made safe where they are shown)."""

    check: str
    """`topic.name` of the check: `trust.crl`."""
    subject: str
    """What was looked at: a path, an address, a program."""
    level: str
    """`ok`, `note`, `warning` or `fault`."""
    summary: str
    """One line that says it all, subject included."""
    fix: str = ""
    """One sentence or one command; "" when nothing is wrong."""
    detail: str = ""
    """More for who wants it: the names behind a number, a library's own words."""

    @property
    def key(self) -> str:
        return f"{self.check} {self.subject}"

    @property
    def topic(self) -> str:
        """The part of the machine that the check is about: a name of TOPICS."""
        return self.check.partition(".")[0]

    @property
    def order(self) -> tuple[int, int, str, str]:
        """Sorts by topic, the worst first."""
        topics = list(TOPICS)
        return (
            topics.index(self.topic) if self.topic in topics else len(topics),
            LEVELS.index(self.level),
            self.check,
            self.subject,
        )
