"""Checks of the revocation lists in the grid CA directory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from ...domain.finding import FAULT, NOTE, WARNING, Finding
from ...services.feeds import Cancel
from . import trust
from .anchors import Anchor
from .case import Case, ok

MAX_BYTES = 64 << 20
"""The largest CRLs of public grid CAs have some megabytes."""
DAY = timedelta(days=1)
MISSING, UNREADABLE, FOREIGN, OVER, ENDING, OLD, GOOD = "missing", "unreadable", "foreign", "over", "ending", "old", "good"
_FETCH = "fetch-crl -l {dir} -o {dir}, and let cron or a timer do it every six hours"
KINDS = {
    OVER: (FAULT, WARNING, "the CRL of {ca} in {dir} is over: all that this CA signed is refused", _FETCH),
    UNREADABLE: (FAULT, WARNING, "the CRL of {ca} in {dir} cannot be read", "remove it and fetch it again: " + _FETCH),
    FOREIGN: (FAULT, WARNING, "the CRL of {ca} in {dir} was not signed by this CA", "remove it and fetch it again: " + _FETCH),
    MISSING: (WARNING, NOTE, "the CRL of {ca} is missing in {dir}: revoked certificates pass, and strict servers refuse all", _FETCH),
    ENDING: (WARNING, NOTE, "the CRL of {ca} in {dir} ends within a day: nothing fetches it", _FETCH),
    OLD: (NOTE, NOTE, "the CRL of {ca} in {dir} was last fetched more than a day ago", _FETCH),
}
"""State of a CRL -> level where the CA is needed, level where it is not, sentence, fix; the worst first."""


def check(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """That each CA has a CRL which is its own, readable and in force."""
    directory = trust.read(case)
    if directory is None or not directory.anchors:
        return ()
    states: dict[str, list[Anchor]] = {kind: [] for kind in (*KINDS, GOOD)}
    for anchor in trust.alive(case, directory):
        states[state(directory.path, anchor, case.now)].append(anchor)
    found: list[Finding] = []
    for kind, (needed, other, sentence, fix) in KINDS.items():
        step = fix.format(dir=directory.path)
        found += trust.told("trust.crl", case, directory, states[kind], (needed, other), sentence, step)
    return found or [ok("trust.crl", directory.path, "each CA has a CRL that is in force")]


def state(directory: Path, anchor: Anchor, now: datetime) -> str:
    """The state of a CA's CRLs: of the files under one hash the best counts, of the two hashes the worse.

    Under the older hash there may be none: who looks there looks under the newer one too.
    """
    new, old = (sorted(directory.glob(f"{name}.r[0-9]*")) for name in anchor.names)
    if not new:
        return MISSING
    order = (*KINDS, GOOD)
    worst = len(order)
    for files in (new, old):
        if files:
            best = max(order.index(of_file(path, anchor.certificate, now)) for path in files)
            worst = min(worst, best)
    return order[worst]


def of_file(path: Path, ca: x509.Certificate, now: datetime) -> str:
    """The state of one file."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES)
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        crl = x509.load_pem_x509_crl(content) if b"-----BEGIN" in content else x509.load_der_x509_crl(content)
        if crl.issuer != ca.subject or not _signed_by(crl, ca):
            return FOREIGN
        ends = crl.next_update_utc
        begun = crl.last_update_utc
    except (OSError, ValueError, x509.InvalidVersion):
        return UNREADABLE
    if ends is not None and ends <= now:
        return OVER
    if ends is not None and ends - now < DAY:
        return ENDING
    return OLD if now - max(written, begun) > DAY else GOOD


def _signed_by(crl: x509.CertificateRevocationList, ca: x509.Certificate) -> bool:
    try:
        return crl.is_signature_valid(ca.public_key())  # type: ignore[arg-type]  # whatever a CA's key is, it either fits or raises
    except (TypeError, UnsupportedAlgorithm):
        return False
