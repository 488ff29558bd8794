"""Versions of software that are known to do something badly: which, what, and what to do instead."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_NUMBERS = re.compile(r"\d+(?:\.\d+)*")


@dataclass(frozen=True, slots=True)
class KnownVersion:
    """One entry of the table: a component, a half-open range of versions, and what they do."""

    component: str
    """`rucio-clients`, `rucio-server`, `gfal2`."""
    wrong: str
    """What goes wrong, in one sentence."""
    fix: str
    source: str
    """Where this is known from: an issue, a release note, a file of the component."""
    first: str = ""
    """First version that does it; "" is any before `until`."""
    until: str = ""
    """First version that does not any more; "" is none yet."""
    level: str = "warning"
    """Level of the finding (domain.finding)."""

    def covers(self, version: str) -> bool:
        """Whether that version is in the range; False for a text without a version in it."""
        wanted = parse(version)
        if not wanted:
            return False
        return not (self.first and wanted < parse(self.first)) and not (self.until and wanted >= parse(self.until))


def parse(text: str) -> tuple[int, ...]:
    """The numbers of the first version in a text, without final zeros: `v5.5.3` is (5, 5, 3), `41.0.0` is (41,); () without any."""
    found = _NUMBERS.search(text)
    if found is None:
        return ()
    numbers = [int(part[:9]) for part in found[0].split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def known(table: Iterable[KnownVersion], component: str, version: str) -> list[KnownVersion]:
    """What is known of that version of a component, in the order of the table."""
    return [entry for entry in table if entry.component == component and entry.covers(version)]
