"""Profiles are proven beside each other: one that hangs or fails takes nothing from the others."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from qostui.domain.errors import CertificateProblem, ConnectionProblem, CredentialProblem, Problem, ServerProblem
from qostui.domain.profile import Profile
from qostui.services import proving
from qostui.services.feeds import Cancel

END = datetime(2026, 11, 25, 18, tzinfo=UTC)


def profiles(*names: str) -> list[Profile]:
    return [Profile(name, "https://rucio.example.org", name, "oidc") for name in names]


def test_each_gets_its_proof_in_the_order_of_the_question() -> None:
    proofs = proving.prove_all(profiles("c", "a", "b"), lambda profile, cancel: (profile.account, END))
    assert [(proof.profile.name, proof.account_said, proof.expires, proof.problem) for proof in proofs] == [
        ("c", "c", END, None),
        ("a", "a", END, None),
        ("b", "b", END, None),
    ]
    assert proving.exit_code(proofs) == 0
    assert proving.prove_all([], lambda profile, cancel: ("", None)) == []


def test_one_that_hangs_is_given_up_and_the_others_are_proven_meanwhile() -> None:
    released = threading.Event()

    def prove(profile: Profile, cancel: Cancel) -> tuple[str, datetime | None]:
        if profile.name == "hangs":
            # The time limit is far shorter than this; the others need no time at all.
            released.wait(60)
        return profile.account, None

    proofs = proving.prove_all(profiles("hangs", *"abcdef"), prove, time_limit_s=0.3, at_once=2)
    released.set()
    assert [proof.problem is None for proof in proofs] == [False, *[True] * 6]
    assert isinstance(proofs[0].problem, ConnectionProblem)
    assert proofs[0].account_said == ""
    assert proving.exit_code(proofs) == 3


def test_no_more_than_so_many_at_once() -> None:
    lock, gate = threading.Lock(), threading.Barrier(3)
    running, most = 0, 0

    def prove(profile: Profile, cancel: Cancel) -> tuple[str, datetime | None]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        gate.wait(20)  # three are at it together, or this breaks
        with lock:
            running -= 1
        return profile.account, None

    assert proving.exit_code(proving.prove_all(profiles(*"abcdefghi"), prove, at_once=3)) == 0
    assert most == 3


def test_another_account_than_ours_is_no_proof() -> None:
    (proof,) = proving.prove_all(profiles("ops"), lambda profile, cancel: ("root", END))
    assert isinstance(proof.problem, CredentialProblem)
    assert "account root, not for ops" in proof.problem.summary
    assert proof.account_said == "root"


@pytest.mark.parametrize(
    ("problems", "code"),
    [
        ([None, None], 0),
        ([ConnectionProblem("x"), None], 3),
        ([ConnectionProblem("x"), CredentialProblem("x")], 4),
        ([ConnectionProblem("x"), CertificateProblem("x"), ServerProblem("x")], 4),
        ([ConnectionProblem("x"), ServerProblem("x")], 1),
    ],
)
def test_the_exit_code_is_that_of_the_worst(problems: list[Problem | None], code: int) -> None:
    assert proving.exit_code([proving.Proof(profiles("a")[0], "a", None, 0.1, problem) for problem in problems]) == code


def test_a_fault_of_the_program_is_not_taken_for_one_of_a_profile() -> None:
    def prove(profile: Profile, cancel: Cancel) -> tuple[str, datetime | None]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        proving.prove_all(profiles("a", "b"), prove)
