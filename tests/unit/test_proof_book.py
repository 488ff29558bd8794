"""What doors said to a credential holds for that credential only."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from qostui.adapters.proof_book import ProofBook
from qostui.domain.credential import Credential, Proof

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PROXY = Credential("2 proxy", "X.509 proxy", "alice", "/p", NOW + timedelta(hours=9), serial="1f")
TOKEN = Credential("4 token", "Access token", "alice", "/t", NOW + timedelta(hours=1))
YES, NO = Proof("A davs", True, NOW), Proof("A davs", False, NOW + timedelta(minutes=1), "expired")
OTHER = Proof("B davs", True, NOW)


def test_the_last_word_of_each_door_is_kept_for_each_credential() -> None:
    book = ProofBook()
    for proof in (OTHER, YES, NO):
        book.note(PROXY, proof)
    book.note(TOKEN, YES)
    assert book.of(PROXY) == (NO, OTHER)
    assert book.of(TOKEN) == (YES,)


def test_a_renewed_credential_begins_without_proofs() -> None:
    book, renewed = ProofBook(), replace(PROXY, expires=NOW + timedelta(hours=21), serial="20")
    book.note(PROXY, YES)
    assert book.of(renewed) == ()
    book.note(PROXY, YES)
    assert book.of(renewed) == (), "what was said to the old one came late"
    book.note(renewed, NO)
    assert book.of(renewed) == (NO,)
