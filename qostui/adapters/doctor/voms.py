"""Checks of what voms-proxy-init and VOMS-aware services need: the address of the VO's server, and whom it may be."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...domain.errors import CredentialProblem
from ...domain.finding import Finding
from ...services.feeds import Cancel
from .. import secret_files
from .. import x509 as grid
from .case import Case, fault, note, ok, warning
from .signing_policy import plain

DEFAULT_VOMSES = (Path("/etc/vomses"), Path("/etc/grid-security/vomses"))
DEFAULT_VOMS_DIR = Path("/etc/grid-security/vomsdir")
MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a vomses file: `"alias" "host" "port" "DN of the server" "VO"`."""

    alias: str
    host: str
    port: str
    subject: str
    vo: str


def entries(text: str) -> list[Entry]:
    """The entries of a vomses file; lines that are none are left out."""
    found = []
    for line in text.splitlines():
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            continue
        if len(words) >= 5:
            found.append(Entry(*words[:5]))
    return found


def chains(text: str) -> list[list[str]]:
    """The chains of an .lsc file: names from the VOMS server up, one a line; `------ NEXT CHAIN ------` parts them."""
    found: list[list[str]] = [[]]
    for line in (each.strip() for each in text.splitlines()):
        if line.startswith("---"):
            found.append([])
        elif line.startswith("/"):
            found[-1].append(line)
    return [chain for chain in found if chain]


def check_vomses(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """That voms-proxy-init knows a server of the profile's VO."""
    check, vo, told = "voms.vomses", _vo(case), _told(case)
    if not vo:
        return ()
    profile = case.profile
    places = [profile.vomses] if profile is not None and profile.vomses is not None else [*_home_vomses(), *DEFAULT_VOMSES]
    where = str(places[0]) if len(places) == 1 else "the usual places"
    found: list[Entry] = []
    for place in places:
        try:
            for file in _files(place):
                found += entries(_text(file))
        except FileNotFoundError:
            continue
        except OSError as error:
            return [fault(check, place, f"{place}: {error.strerror}", f"mend its mode: ls -ld {place}")]
    ours = [entry for entry in found if vo in (entry.vo, entry.alias)]
    if ours:
        return [ok(check, vo, f"{where}: VO {vo} has a server at {ours[0].host}:{ours[0].port}")]
    summary = f"no vomses entry for VO {vo} in {where}: voms-proxy-init cannot ask its server"
    target = profile.vomses if profile is not None and profile.vomses is not None else Path.home() / ".voms" / "vomses"
    fix = f"get the line from your VO and put it into {target}"
    return [fault(check, vo, summary, fix) if told else note(check, vo, summary, fix)]


def check_lsc(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """That the .lsc file of the VOMS server is there and names the issuer of the attributes that we hold."""
    check, vo, profile = "voms.lsc", _vo(case), case.profile
    if not vo or profile is None:
        return ()
    directory = profile.voms_dir or DEFAULT_VOMS_DIR
    told = profile.voms_dir is not None
    folder = directory / vo
    fix = f"get the .lsc file from your VO and put it into {folder}"
    try:
        files = sorted(each for each in folder.iterdir() if each.suffix == ".lsc")
        trusted = {each.name: chains(_text(each)) for each in files}
    except OSError as error:
        summary = f"{folder}: {error.strerror}: VOMS attributes of {vo} cannot be verified here"
        return [warning(check, folder, summary, fix) if told else note(check, folder, summary, fix)]
    if not any(trusted.values()):
        summary = f"no .lsc file of VO {vo} in {directory}: its attributes cannot be verified here"
        return [warning(check, folder, summary, fix) if told else note(check, folder, summary, fix)]
    known = {plain(chain[0]) for found in trusted.values() for chain in found}
    for issuer in _issuers(case):
        if plain(issuer) not in known:
            summary = f"the .lsc file in {folder} does not name {issuer}, which signed our attributes"
            return [fault(check, folder, summary, fix, f"it names {'; '.join(sorted(known))}")]
    return [ok(check, folder, f"{len(files)} .lsc file{'' if len(files) == 1 else 's'} of VO {vo} in {directory}")]


def _told(case: Case) -> bool:
    """The profile itself asks for VOMS, so that nothing may be missing."""
    return case.profile is not None and bool(case.profile.voms or case.profile.vomses)


def _vo(case: Case) -> str:
    """The VO of the profile, else that of the attributes in its proxy."""
    profile = case.profile
    if profile is None:
        return ""
    if profile.voms:
        return profile.voms.partition(":")[0]
    if profile.proxy is not None:
        try:
            found = grid.read(profile.proxy, "the proxy", secret=True)
        except CredentialProblem:
            return ""
        return found.voms[0].authority.partition("://")[0] if found.voms else ""
    return ""


def _issuers(case: Case) -> tuple[str, ...]:
    if case.profile is None or case.profile.proxy is None:
        return ()
    try:
        return tuple(filter(None, grid.voms_issuers(secret_files.read_secret(case.profile.proxy, "the proxy"))))
    except (CredentialProblem, ValueError):
        return ()


def _home_vomses() -> list[Path]:
    home = Path(os.environ.get("HOME") or "/nonexistent")
    return [home / ".voms" / "vomses", home / ".glite" / "vomses"]


def _files(place: Path) -> Iterator[Path]:
    """The file itself, or the files of a directory."""
    yield from sorted(each for each in place.iterdir() if each.is_file()) if place.is_dir() else [place]


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MAX_BYTES).decode("utf-8", "replace")
