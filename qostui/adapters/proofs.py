"""Live proofs: what a storage door says when one credential is really shown to it and asked for a listing of the door's prefix.

Over root, roots, gsiftp and srm a gfal2 worker asks; over davs our own HTTP does, which no redirect leads away (see webdav.py).
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from threading import Lock, Thread

from ..domain import access
from ..domain.access import FAMILIES, NO, TOKEN, Access, Verdict
from ..domain.credential import Credential, Proof
from ..domain.errors import CredentialProblem, NotFoundProblem, Problem
from ..domain.profile import Profile, Secret
from ..domain.rse import Door, Rse
from ..services.feeds import Cancel, Cancelled
from . import gfal, secret_files
from .gfal_errors import GfalMissing, door_name
from .gfal_pools import POOLS

TIME_LIMIT_S = 10.0
AT_ONCE = 4
TRIED = frozenset({"davs", "https", "root", "roots", "gsiftp", "srm"})
"""Schemes over which a credential may travel: with TLS, or by GSI, or (root) not at all without either."""
_OPEN_TO_ALL = frozenset({"davs", "https", "root", "roots"})
"""Schemes whose servers may list to everybody, so that a listing proves nothing."""
_HTTP = frozenset({"davs", "https"})
_LOOK_S = 0.2


def bearing(profile: Profile, credential: Credential) -> gfal.Bearing:
    """What a worker shows for this credential of the profile, in the version that its file has now; raises Problem."""
    kind, content = _content(profile, credential)
    return gfal.Bearing(kind, content, profile.ca_path, profile.voms_dir, owner=profile.name)


def _content(profile: Profile, credential: Credential) -> tuple[str, Secret]:
    if credential.kind == "X.509 proxy" and profile.proxy is not None:
        return gfal.PROXY, _text(secret_files.read_secret(profile.proxy, "the proxy"))
    if credential.kind == "X.509 certificate" and profile.certificate is not None and profile.key is not None:
        key = secret_files.read_secret(profile.key, "the key")
        if b"ENCRYPTED" in key:
            raise CredentialProblem("the key needs a pass phrase, which storages cannot ask for", step="make a proxy of it")
        try:
            certificate = profile.certificate.read_bytes()
        except OSError as error:
            raise CredentialProblem(
                f"the certificate {profile.certificate}: {error.strerror}", step="mend the path in the profile"
            ) from None
        return gfal.CERTIFICATE, _text(certificate + b"\n" + key)
    if credential.kind == "Access token":
        from .rucio_session import bearer

        return gfal.TOKEN, bearer(profile)
    raise CredentialProblem(f"{credential.kind}: nothing of it can be shown to storage", step="use a proxy or a token")


def _text(content: bytes) -> Secret:
    return Secret(content.decode("utf-8", "surrogateescape"))


def prove(profile: Profile, credential: Credential, rse: Rse, door: Door, cancel: Cancel, attributes: Sequence[Credential] = ()) -> Proof:
    """Show exactly this credential to this door, 10 s at most, and say what came of it.

    A credential that is over is not shown, nor a token that names another audience: whoever gets one can use it there. `attributes`
    are the VOMS ACs of a proxy. Raises GfalMissing and Cancelled; every other Problem is the proof's reason.
    """
    where = f"{rse.name} {door.scheme}"
    for said in _not_shown(rse, door, credential, attributes):
        return Proof(where, False, datetime.now(UTC), said)
    try:
        shown = bearing(profile, credential)
    except Problem as problem:
        return Proof(where, False, datetime.now(UTC), problem.summary)
    refusal = _refusal(profile, shown, door, cancel)
    if not refusal and door.scheme in _OPEN_TO_ALL:
        nobody = gfal.Bearing(gfal.NOBODY, None, profile.ca_path, profile.voms_dir, owner=profile.name)
        if not _refusal(profile, nobody, door, cancel):
            refusal = "the door lists to everybody, which proves nothing about this credential"
    if refusal:
        local = access.verdict(rse, door, credential, datetime.now(UTC), attributes=attributes)
        refusal = f"{local.reason}; {refusal}" if local.answer == NO else refusal
    return Proof(where, not refusal, datetime.now(UTC), refusal)


def _not_shown(rse: Rse, door: Door, credential: Credential, attributes: Sequence[Credential]) -> Iterator[str]:
    """Why it is not shown to the door at all, the first reason first."""
    own = access.own_verdict(credential, datetime.now(UTC), attributes)
    if own.answer == NO:
        yield own.reason
    if door.scheme not in TRIED:
        yield f"not tried: no credential is shown over {door.scheme}"
    meant = access.audience_verdict(rse, door, credential) if FAMILIES.get(credential.kind) == TOKEN else Verdict("", "")
    if meant.answer == NO:
        yield f"{meant.reason}: not shown to it"


def _refusal(profile: Profile, shown: gfal.Bearing, door: Door, cancel: Cancel) -> str:
    """What the door did instead of listing its prefix; "" when it listed."""
    try:
        if door.scheme in _HTTP:
            from .rucio_session import verification
            from .webdav import list_once

            list_once(door, shown, verification(profile), TIME_LIMIT_S, cancel)
        else:
            with POOLS.pool(shown).lend(cancel) as worker:
                # XRootD's client keeps a connection, and who it is there, for root and roots alike: a proof is a new log-in.
                worker.close()
                worker.call("ls", TIME_LIMIT_S, cancel, url=door.address, limit=1)
    except GfalMissing:
        raise
    except NotFoundProblem as problem:
        return f"{_said(problem, door.address)} ({door.prefix}), so that whether it lets us in is not known"
    except Problem as problem:
        return _said(problem, door.address)
    return ""


def _said(problem: Problem, address: str) -> str:
    """The problem as a sentence about the door, whose address stands beside it."""
    return problem.summary.replace(door_name(address), "the door", 1)


def prove_all(profile: Profile, credentials: Sequence[Credential], rses: Sequence[Rse], cancel: Cancel) -> Iterator[Access]:
    """The rows of `access.matrix` with their proofs, four doors at a time, as they come; raises Problem and Cancelled.

    Dropping the iterator ends what is under way.
    """
    doors = {(rse.name, door.address): (rse, door) for rse in rses for door in rse.doors}
    shown = {each.id: each for each in credentials}
    jobs = deque(access.matrix(rses, credentials, datetime.now(UTC)))
    results: SimpleQueue[Access | BaseException] = SimpleQueue()
    stop = _Stop()
    cancel.closes(stop.stop)

    def work() -> None:
        while stop.wanted:
            try:
                row = jobs.popleft()
            except IndexError:
                return
            try:
                credential, (rse, door) = shown[row.credential], doors[row.rse, row.door]
                attributes = access.attributes_of(credential, credentials)
                results.put(replace(row, live=prove(profile, credential, rse, door, stop, attributes)))
            except BaseException as error:
                results.put(error)
                return

    left = len(jobs)
    for number in range(min(AT_ONCE, left)):
        Thread(target=work, name=f"prove-{number}", daemon=True).start()
    try:
        while left:
            if not cancel.wanted:
                raise Cancelled
            with contextlib.suppress(Empty):
                result = results.get(timeout=_LOOK_S)
                if isinstance(result, BaseException):
                    raise result
                left -= 1
                yield result
    finally:
        stop.stop()
        POOLS.rest(profile.name)


class _Stop:
    """A Cancel of our own, so that dropping the iterator cancels too."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._stopped = False
        self._closers: list[Callable[[], None]] = []

    @property
    def wanted(self) -> bool:
        return not self._stopped

    def closes(self, close: Callable[[], None]) -> None:
        """Call `close` when stopped; at once if that has happened already."""
        with self._lock:
            if not self._stopped:
                self._closers.append(close)
                return
        close()

    def stop(self) -> None:
        """Stop."""
        with self._lock:
            self._stopped = True
            closers, self._closers = self._closers, []
        for close in closers:
            close()
