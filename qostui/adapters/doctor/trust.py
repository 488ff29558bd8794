"""Checks of what is trusted: the CA file of the profile, and the grid CA directory with its names and signing policies."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

from cryptography import x509

from ...domain.errors import CredentialProblem, Problem
from ...domain.finding import FAULT, NOTE, WARNING, Finding
from ...domain.units import duration_text
from ...services.feeds import Cancel
from .. import x509 as grid
from . import anchors
from .anchors import Anchor, Directory
from .case import Case, fault, ok, warning
from .signing_policy import allows, parse

SOON = timedelta(days=30)
"""A CA that ends within that time is worth a word: its successor has to be installed everywhere before."""
FEW = 5
"""In a directory of so few CAs each is needed; in a distribution of a hundred only those of our own credentials are."""


def directory_of(case: Case) -> Path | None:
    """The grid CA directory in use: the profile's, else the usual one where it exists."""
    if case.profile is not None and case.profile.ca_path is not None:
        return case.profile.ca_path
    return anchors.DEFAULT_DIRECTORY if anchors.DEFAULT_DIRECTORY.exists() else None


def read(case: Case) -> Directory | None:
    """The directory, read once; None without one or when it cannot be read (trust.directory says so)."""
    path = directory_of(case)
    if path is None:
        return None
    try:
        return case.once("anchors", lambda: anchors.read(path))
    except Problem:
        return None


def needed(case: Case, directory: Directory) -> set[str]:
    """Subjects of the CAs without which something of ours fails."""
    if len(directory.anchors) <= FEW:
        return {each.subject for each in directory.anchors}
    return {issuer for _, issuer in own_subjects(case)}


def alive(case: Case, directory: Directory) -> list[Anchor]:
    """The CAs that are not over; of the others nothing more needs to be right."""
    return [each for each in directory.anchors if each.certificate.not_valid_after_utc > case.now]


def told(
    check: str, case: Case, directory: Directory, found: Sequence[Anchor], levels: tuple[str, str], what: str, fix: str
) -> list[Finding]:
    """One finding for all CAs with the same trouble; the first level where one of them is needed, else the second."""
    if not found:
        return []
    must = needed(case, directory)
    found = sorted(found, key=lambda each: each.subject not in must)
    level = levels[0] if found[0].subject in must else levels[1]
    others = f" and of {len(found) - 1} more of {len(directory.anchors)}" if len(found) > 1 else ""
    summary = what.format(ca=f"{found[0].subject}{others}", dir=directory.path)
    detail = "; ".join(f"{each.subject} ({', '.join(each.files)})" for each in found)
    return [Finding(check, found[0].subject, level, summary, fix, detail)]


def check_file(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """The PEM file that the servers' certificates are checked with."""
    check = "trust.file"
    path = case.profile.ca if case.profile is not None else None
    if path is None:
        return ()
    try:
        found = anchors.certificates_of(path.read_bytes()[: anchors.MAX_BYTES])
    except OSError as error:
        return [fault(check, path, f"the CA file {path}: {error.strerror}", "mend `ca` in the profile, or put the CA's certificate there")]
    except ValueError:
        return [fault(check, path, f"the CA file {path} holds no certificate", "put the CA's certificate there, in PEM")]
    over = [each for each in found if each.not_valid_after_utc <= case.now]
    names = "; ".join(grid.slash(each.subject) for each in over)
    if len(over) == len(found) or (over and len(found) <= FEW):
        text = f"the CA {grid.slash(over[0].subject)} in {path} expired {duration_text(case.now - over[0].not_valid_after_utc)} ago"
        return [fault(check, path, text, "put the CA's present certificate there", names)]
    soon = [each for each in found if each.not_valid_after_utc - case.now < SOON and each not in over]
    if soon and len(found) <= FEW:
        text = f"the CA {grid.slash(soon[0].subject)} in {path} ends in {duration_text(soon[0].not_valid_after_utc - case.now)}"
        return [warning(check, path, text, "ask the CA for its next certificate and add it to the file")]
    return [ok(check, path, f"{path} holds {len(found)} CA certificate{'' if len(found) == 1 else 's'}", names)]


def check_directory(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """That the grid CA directory is there and can be read."""
    check, path = "trust.directory", directory_of(case)
    profile = case.profile
    if path is None:
        if profile is None or (profile.proxy is None and profile.certificate is None):
            return ()
        summary = f"there is no grid CA directory: neither ca_path of the profile nor {anchors.DEFAULT_DIRECTORY}"
        return [warning(check, "ca_path", summary, "set ca_path, since gfal2, XRootD and voms-proxy-init trust no server without one")]
    try:
        found = case.once("anchors", lambda: anchors.read(path))
    except Problem as problem:
        return [fault(check, path, problem.summary, problem.step)]
    if not found.anchors:
        why = f"; {found.unreadable[0]}" if found.unreadable else ""
        return [fault(check, path, f"the CA directory {path} holds no CA{why}", "install the CAs of your grid there, or mend ca_path")]
    if found.unreadable:
        more = f", and {len(found.unreadable) - 1} more" if len(found.unreadable) > 1 else ""
        summary = f"{path} has what cannot be read as a CA: {found.unreadable[0]}{more}"
        return [warning(check, path, summary, "mend or remove it", "; ".join(found.unreadable))]
    return [ok(check, path, f"{path} holds {len(found.anchors)} CA{'' if len(found.anchors) == 1 else 's'}")]


def check_validity(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """CAs and intermediates that are over, begin later or end soon."""
    directory, now = read(case), case.now
    if directory is None or not directory.anchors:
        return ()
    found: list[Finding] = []
    for judge, levels, sentence, fix in LIFETIMES:
        concerned = [each for each in directory.anchors if judge(each.certificate, now)]
        found += told("trust.validity", case, directory, concerned, levels, sentence, fix)
    return found or [ok("trust.validity", directory.path, "all CAs are valid for more than 30 days")]


LIFETIMES: tuple[tuple[Callable[[x509.Certificate, datetime], bool], tuple[str, str], str, str], ...] = (
    (
        lambda ca, now: ca.not_valid_after_utc <= now,
        (FAULT, WARNING),
        "the certificate of {ca} in {dir} expired",
        "install the CA's new certificate, or remove the old one",
    ),
    (
        lambda ca, now: ca.not_valid_before_utc > now,
        (FAULT, WARNING),
        "the certificate of {ca} in {dir} is not valid yet",
        "check this machine's clock",
    ),
    (
        lambda ca, now: ca.not_valid_before_utc <= now < ca.not_valid_after_utc < now + SOON,
        (WARNING, NOTE),
        "the certificate of {ca} in {dir} ends within 30 days",
        "install the CA's next certificate",
    ),
)
"""(when, level where the CA is needed and where it is not, sentence, fix)."""


def check_chain(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """That above each intermediate its own CA is there."""
    directory = read(case)
    if directory is None or not directory.anchors:
        return ()
    subjects = {each.certificate.subject for each in directory.anchors}
    orphans = [each for each in alive(case, directory) if not each.is_root and each.certificate.issuer not in subjects]
    sentence, fix = "the CA above the intermediate {ca} is not in {dir}", "install it too: a chain ends nowhere without it"
    found = told("trust.chain", case, directory, orphans, (FAULT, WARNING), sentence, fix)
    return found or [ok("trust.chain", directory.path, "above each intermediate its CA is there")]


def check_names(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """That each CA can be found under the hash of its name, which is how OpenSSL, Globus and XRootD look for it."""
    check, directory = "trust.names", read(case)
    if directory is None or not directory.anchors:
        return ()
    found: list[Finding] = []
    must = needed(case, directory)
    taken = {name for each in directory.anchors for name in each.files}
    for which, levels, who in ((0, (FAULT, WARNING), "OpenSSL, curl and gfal2"), (1, (NOTE, NOTE), "older Globus and XRootD")):
        missing = [each for each in alive(case, directory) if not _found_as(each, each.names[which])]
        if missing:
            first = min(missing, key=lambda each: each.subject not in must)
            # Two CAs may have the same hash: they are told apart by the number.
            name = next(name for number in count() if (name := f"{first.names[which]}.{number}") not in taken)
            link = directory.path / name
            more = " (and so on: see the detail)" if len(missing) > 1 else ""
            sentence = f"the hash link of {{ca}} in {{dir}} is missing, so {who} cannot find the CA"
            for each in told(check, case, directory, missing, levels, sentence, f"ln -s {first.files[0]} {link}{more}"):
                found.append(replace(each, subject=str(link), detail=_links(missing, which)))
    return found or [ok(check, directory.path, "each CA lies under both hashes of its name")]


def _found_as(anchor: Anchor, name: str) -> bool:
    return any(match is not None and match[1] == name for match in map(anchors.HASHED.fullmatch, anchor.files))


def _links(missing: Sequence[Anchor], which: int) -> str:
    return "; ".join(f"{each.names[which]}.0 -> {each.files[0]}" for each in missing)


def check_policy(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """That each CA has a signing policy which lets it sign, and lets it sign for us; GridFTP and GSI refuse it otherwise."""
    check, directory = "trust.policy", read(case)
    if directory is None or not directory.anchors:
        return ()
    missing: list[Anchor] = []
    silent: list[Anchor] = []
    found: list[Finding] = []
    ours = dict(own_subjects(case))
    for anchor in alive(case, directory):
        path = directory.path / f"{anchor.names[0]}.signing_policy"
        try:
            policy = parse(path.read_text(encoding="utf-8", errors="replace")[: anchors.MAX_BYTES])
        except FileNotFoundError:
            missing.append(anchor)
            continue
        except OSError as error:
            found.append(fault(check, path, f"the signing policy {path}: {error.strerror}", f"chmod a+r {path}"))
            continue
        if anchor.subject not in policy:
            silent.append(anchor)
            continue
        refused = [each for each, issuer in ours.items() if issuer == anchor.subject and not allows(policy, anchor.subject, each)]
        for each in refused:
            summary = f"the signing policy of {anchor.subject} does not let it sign for {each}"
            found.append(fault(check, path, summary, f"add the name to cond_subjects in {path}"))
    found += told(
        check, case, directory, missing, (FAULT, WARNING),
        "the signing policy of {ca} is missing in {dir}", "install it with the CA: GridFTP and GSI refuse a CA without one",
    )  # fmt: skip
    found += told(
        check, case, directory, silent, (FAULT, WARNING),
        "the signing policy in {dir} does not name {ca} as a CA that may sign", "put access_id_CA with exactly that name into it",
    )  # fmt: skip
    return found or [ok(check, directory.path, "each CA has a signing policy that covers it and what it signed for us")]


def own_subjects(case: Case) -> list[tuple[str, str]]:
    """(subject, issuer) of the end entity of each certificate that the profile holds, as far as it can be read."""
    found: list[tuple[str, str]] = []
    if case.profile is not None:
        for path, secret in ((case.profile.proxy, True), (case.profile.certificate, False)):
            if path is not None:
                with contextlib.suppress(CredentialProblem, OSError):
                    read_file = grid.read(path, "the certificate", secret=secret)
                    found.append((read_file.subject, read_file.issuer))
    return found
