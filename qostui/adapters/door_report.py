"""The report of what works where: each credential of a profile at each door, first as far as is known, then as the doors say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from ..domain import access
from ..domain.access import FAMILIES, Access
from ..domain.credential import Credential
from ..domain.errors import CredentialProblem
from ..domain.profile import Profile
from ..domain.rse import Rse
from ..services.feeds import Cancel
from . import proofs
from .deferred import Deferred
from .proof_book import ProofBook


def rows(profile: Profile, runtime_dir: Path, book: ProofBook, cancel: Cancel) -> Iterator[Sequence[Access]]:
    """All rows of the matrix in one batch, then each again with its proof as a door answers; raises Problem and Cancelled.

    What doors say is also written into `book`, for the pane of credentials.
    """
    credentials, rses = _known(profile, runtime_dir, cancel)
    if not any(each.kind in FAMILIES for each in credentials):
        raise CredentialProblem(
            f"profile {profile.name} holds nothing that storages take", step="give it a proxy, a certificate or a token"
        )
    yield access.matrix(rses, credentials, datetime.now(UTC))
    shown = {each.id: each for each in credentials}
    for row in proofs.prove_all(profile, credentials, rses, cancel):
        if row.live is not None:
            book.note(shown[row.credential], row.live)
        yield [row]


def _known(profile: Profile, runtime_dir: Path, cancel: Cancel) -> tuple[Sequence[Credential], list[Rse]]:
    """The credentials on this machine, and all RSEs, over connections that nobody else uses."""
    sources = Deferred(profile, runtime_dir, 0, "")
    cancel.closes(sources.abandon)
    try:
        # The first batch is what lies here; Rucio is asked only for a second one.
        credentials: Sequence[Credential] = next(islice(sources.real("credentials").full(cancel), 1), [])
        rses = {rse.key: rse for batch in sources.real("rses").full(cancel) for rse in batch}
    finally:
        sources.abandon()
    return credentials, list(rses.values())
