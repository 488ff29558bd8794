"""The doctor: looks at this machine, a profile's credentials and its servers, and says what is wrong and how to mend it.

`examine` is the one way in. It changes nothing outside; at Rucio it logs in, as every other command does.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from ...domain.finding import WARNING, Finding
from ...domain.profile import Profile
from ...services.feeds import Cancel, Cancelled
from ...services.ports import Preferences

if TYPE_CHECKING:
    from .checks import Check

AT_ONCE = 6
"""So many checks run side by side; most of them wait for a server or read a file."""


def examine(
    profile: Profile | None, settings: Preferences, cancel: Cancel, *, machine: bool = True, of_profile: bool = True
) -> Iterator[Finding]:
    """All findings, `ok` ones included, as the checks end; None examines the machine alone.

    `machine` and `of_profile` choose the checks of one kind only, so that several profiles share one look at the machine.
    Each check has a time limit, and one that fails or hangs is a finding of its own. Raises Cancelled; closing the
    iterator ends what runs.
    """
    from .case import Case
    from .checks import CHECKS
    from .rounds import Job, run

    case = Case(profile, settings)
    chosen = {each.id: each for each in CHECKS if (machine if each.of_machine else of_profile)}
    jobs = [Job(each.id, partial(each.look, case), each.limit_s) for each in chosen.values()]
    for outcome in run(jobs, cancel, AT_ONCE):
        check = chosen[outcome.job.name]
        if outcome.overdue:
            yield _failed(check, f"did not end within {check.limit_s:.0f} s", "something hangs: try again, or look at the network")
        elif outcome.error is not None:
            yield _broken(check, outcome.error)
        else:
            yield from outcome.value or ()


def _broken(check: Check, error: BaseException) -> Finding:
    from ...domain.errors import Problem

    if isinstance(error, Cancelled):
        return _failed(check, "was broken off", "try again")
    if isinstance(error, Problem):
        return _failed(check, f"could not look: {error.summary}", error.step or "try again")
    # Its words may hold anything, so only its kind is told.
    return _failed(check, f"failed ({type(error).__name__})", "report this")


def _failed(check: Check, how: str, fix: str) -> Finding:
    return Finding(check.id, check.title, WARNING, f"the check of the {check.title} {how}", fix)
