"""`qostui doors`: which credential each storage door takes, told offline, and by the door itself with --live."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from .. import headless
from ..adapters.backend import RucioBackend
from ..config import Settings
from ..domain import access, query, sort
from ..domain.access import Access
from ..domain.credential import Credential
from ..domain.errors import CredentialProblem, Problem
from ..domain.profile import Profile
from ..domain.rse import Rse
from ..domain.text import clean
from ..services.lanes import Lane, Lanes
from ..services.session import view
from ..services.views.access import VIEW


def run(settings: Settings, profile: Profile, options: argparse.Namespace) -> int:
    """Print the matrix of doors and credentials; raises Problem, after what could be told."""
    wanted = query.parse(options.filter, VIEW)
    order = sort.parse(options.sort, VIEW) or VIEW.order
    rses, credentials, problem = _known(settings, profile, options.expression, options.timeout)
    if problem is None and not any(each.kind in access.FAMILIES for each in credentials):
        raise CredentialProblem(
            f"profile {profile.name} holds nothing that storages take", step="give it a proxy, a certificate or a token_file"
        )
    rows = access.matrix(rses, credentials, datetime.now(UTC))
    unproven: Problem | None = None
    if options.live:
        rows, unproven = _tried(profile, credentials, rses, rows, options.timeout)
    now = datetime.now(UTC)
    shown = [row for row in sort.arrange(rows, order, VIEW) if wanted.matches(row, now)][: options.limit]
    if rows or problem is None:
        headless.write(VIEW, shown, options.output, now)
    for each in filter(None, (problem, unproven)):
        raise each
    return 0


def _known(settings: Settings, profile: Profile, expression: str, timeout_s: float) -> tuple[list[Rse], list[Credential], Problem | None]:
    """RSEs, credentials, and why the RSEs are not complete if they are not."""
    backend = RucioBackend(profile, settings, expression)
    try:
        rses, problem = headless.collect(backend, view("rses"), timeout_s)
        # Whether Rucio takes them does not matter here: local ones come first, and are listed whatever it says.
        credentials, _ = headless.collect(backend, view("credentials"), timeout_s) if problem is None else ([], None)
    finally:
        backend.close()
    return rses, credentials, problem


def _tried(
    profile: Profile, credentials: list[Credential], rses: list[Rse], rows: list[Access], timeout_s: float
) -> tuple[list[Access], Problem | None]:
    """The rows with what the doors said, and why it is not all of them."""
    from ..adapters import proofs

    found = {row.key: row for row in rows}
    talks = sys.stderr.isatty()

    def work(lane: Lane) -> None:
        for count, row in enumerate(proofs.prove_all(profile, credentials, rses, lane), 1):
            found[row.key] = row
            if talks:
                print(f"\r{count} of {len(rows)}: {clean(row.rse)} {clean(row.scheme)}\x1b[K", end="", file=sys.stderr, flush=True)

    lanes = Lanes()
    try:
        lanes.run("doors", work, timeout_s)
    except Problem as problem:
        return list(found.values()), problem
    finally:
        lanes.close()
        if talks:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    return list(found.values()), None
