"""Proving profiles: each one's credential against its instance, beside each other, none of them waiting for one that hangs."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Thread

from ..domain.errors import ConnectionProblem, CredentialProblem, Problem
from ..domain.profile import Profile, host_text
from .feeds import Cancel
from .lanes import Lane, Lanes

AT_ONCE = 8
"""Profiles that are proven at the same time."""
TIME_LIMIT_S = 20.0

Prove = Callable[[Profile, Cancel], tuple[str, datetime | None]]
"""Logs in and asks who we are: the account that the instance says, and when the session ends (None: not said). Raises Problem."""


@dataclass(frozen=True, slots=True)
class Proof:
    """How one profile fared."""

    profile: Profile
    account_said: str
    """The account the instance takes us for; "" when it did not say."""
    expires: datetime | None
    elapsed_s: float
    problem: Problem | None = None


def prove_all(profiles: Sequence[Profile], prove: Prove, *, time_limit_s: float = TIME_LIMIT_S, at_once: int = AT_ONCE) -> list[Proof]:
    """A proof for each profile, in their order, after at most (profiles / at_once) x (limit + 2 s). Call it where waiting is fine."""
    waiting = deque(enumerate(profiles))
    proofs: dict[int, Proof] = {}
    broken: list[BaseException] = []
    lanes = Lanes(abandoned_limit=len(profiles) + 1)

    def work() -> None:
        while True:
            try:
                place, profile = waiting.popleft()
            except IndexError:
                return
            try:
                proofs[place] = _proof(profile, prove, lanes, time_limit_s)
            except BaseException as error:
                broken.append(error)
                return

    threads = [Thread(target=work, name=f"prove-{number}", daemon=True) for number in range(min(at_once, len(profiles)))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        lanes.close()
    if broken:
        raise broken[0]
    return [proofs[place] for place in range(len(profiles))]


def _proof(profile: Profile, prove: Prove, lanes: Lanes, time_limit_s: float) -> Proof:
    said: list[tuple[str, datetime | None]] = []

    def ask(lane: Lane) -> None:
        said.append(prove(profile, lane))

    problem: Problem | None = None
    began = time.monotonic()
    try:
        lanes.run(f"prove-{profile.name}", ask, time_limit_s)
    except Problem as raised:
        problem = raised
    elapsed = time.monotonic() - began
    account, expires = said[0] if said and problem is None else ("", None)
    if problem is None and account != profile.account:
        problem = CredentialProblem(
            f"{host_text(profile.rucio_host)} takes us for account {account or 'none'}, not for {profile.account}",
            step="the credential is mapped to another account there: mend account in the profile, or the identity at Rucio",
        )
    return Proof(profile, account, expires, elapsed, problem)


def exit_code(proofs: Sequence[Proof]) -> int:
    """0 when all are proven, 4 when a credential fails, 3 when nothing but connections do, else 1."""
    codes = {proof.problem.exit_code for proof in proofs if proof.problem is not None}
    if not codes:
        return 0
    if CredentialProblem.exit_code in codes:
        return CredentialProblem.exit_code
    return ConnectionProblem.exit_code if codes == {ConnectionProblem.exit_code} else Problem.exit_code
