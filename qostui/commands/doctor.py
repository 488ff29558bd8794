"""`qostui doctor`: examines this machine and profiles, prints what is wrong with its fix, and exits by the worst of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from ..domain.errors import CredentialProblem, UsageProblem
from ..domain.finding import FAULT, NOTE, OK, TOPICS, WARNING, Finding
from ..domain.profile import Profile, host_text
from ..domain.text import clean
from ..services.views import findings as view

FAILED = 1
PLURALS = {FAULT: "faults", WARNING: "warnings", NOTE: "notes"}
INDENT = "   "


class Unbroken:
    """A Cancel for a command: only an interrupt ends it, and that ends the process."""

    wanted = True

    def closes(self, close: Callable[[], None]) -> None:
        """Nothing is ever broken off from outside."""


def run(wanted: str | None, *, every_profile: bool = False, output: str | None = None, everything: bool = False, load: Any = None) -> int:
    """Examine and print; returns 0 without a fault, 4 when one is about a credential, else 1. Raises UsageProblem.

    `load` gives the settings; a configuration that cannot be read is a finding, and the rest goes on without it.
    """
    settings, broken = _settings(load)
    profiles = [] if settings is None else _chosen(settings, wanted, every_profile)
    if settings is None:
        from ..config import Settings

        settings = Settings()
    parts: list[tuple[Profile | None, list[Finding]]] = []
    as_records = output not in (None, "table") or (output is None and not sys.stdout.isatty())
    for number, profile in enumerate(profiles or [None]):
        found = [*(broken if number == 0 else []), *_examined(profile, settings, machine=number == 0)]
        parts.append((profile, sorted(found, key=lambda each: each.order)))
        if not as_records:
            _report(profile, parts[-1][1], everything, first=number == 0)
            sys.stdout.flush()
    if as_records:
        _records(parts, output, everything)
    _last_line([each for _, found in parts for each in found], everything, stream=sys.stderr if as_records else sys.stdout)
    return _code([each for _, found in parts for each in found])


def _settings(load: Any) -> tuple[Any, list[Finding]]:
    from .. import config

    try:
        settings = (load or config.load)()
    except UsageProblem as problem:
        return None, [_of_configuration(FAULT, problem.summary, problem.step)]
    return settings, [_of_configuration(WARNING, each, "mend that key; qostui config check looks again") for each in settings.key_faults]


def _of_configuration(level: str, summary: str, fix: str) -> Finding:
    return Finding("places.configuration", summary, level, summary, fix)


def _chosen(settings: Any, wanted: str | None, every_profile: bool) -> list[Profile]:
    """The profiles to examine; none where nothing is configured, all where it is not clear which."""
    if wanted and every_profile:
        raise UsageProblem("--profile and --all are two different wishes", step="leave one of them out")
    if wanted:
        return [settings.profile(wanted)]
    profiles = list(settings.profiles.values())
    if every_profile or not profiles:
        return profiles
    try:
        return [settings.profile()]
    except UsageProblem:
        return profiles


def _examined(profile: Profile | None, settings: Any, *, machine: bool) -> list[Finding]:
    from ..adapters.doctor import examine

    found: list[Finding] = []
    watched = sys.stderr.isatty()
    try:
        for each in examine(profile, settings, Unbroken(), machine=machine):
            found.append(each)
            if watched:
                print(f"\r{len({one.check for one in found})} checks done …", end="", file=sys.stderr, flush=True)
    finally:
        if watched:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    return found


def _report(profile: Profile | None, found: Sequence[Finding], everything: bool, *, first: bool) -> None:
    if not first:
        print()
    if profile is None:
        print("this machine, without a profile")
    else:
        print(f"{clean(profile.name)}   {clean(profile.account)} by {profile.auth} at {clean(host_text(profile.rucio_host))}")
    shown = [each for each in found if everything or each.level != OK]
    for topic, group in groupby(shown, key=lambda each: each.topic):
        print(f"\n{TOPICS.get(topic, topic)}")
        for each in group:
            print(f" {view.level_text(each):<10}{clean(each.summary)}")
            if each.fix:
                print(f" {'':<10}→ {clean(each.fix)}")
            if each.detail and everything:
                print(f" {'':<10}  {clean(each.detail)}")


def _records(parts: Sequence[tuple[Profile | None, Sequence[Finding]]], output: str | None, everything: bool) -> None:
    from ..headless import write_records

    write_records(
        [
            {"profile": profile.name if profile is not None else None} | view.VIEW.record(each)
            for profile, found in parts
            for each in found
            if everything or each.level != OK
        ],
        output,
    )
    sys.stdout.flush()


def _last_line(found: Sequence[Finding], everything: bool, *, stream: Any) -> None:
    checks = len({each.check for each in found})
    counts = [(level, sum(each.level == level for each in found)) for level in PLURALS]
    told = ", ".join(f"{count} {level if count == 1 else PLURALS[level]}" for level, count in counts if count)
    more = "" if everything else "; --all-findings lists what is well too"
    print(f"{'' if stream is sys.stderr else chr(10)}{checks} checks ran: {told or 'nothing is wrong'}{more}", file=stream)


def _code(found: Sequence[Finding]) -> int:
    faults = [each for each in found if each.level == FAULT]
    if any(each.topic == "credentials" for each in faults):
        return CredentialProblem.exit_code
    return FAILED if faults else 0
