"""Checks of the software around the console: gfal2 and its plug-ins, the grid's programs, and versions known to be bad."""

from __future__ import annotations

import importlib.metadata
import os
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from ...domain.errors import Problem
from ...domain.finding import Finding
from ...domain.known_version import KnownVersion, known, parse
from ...domain.profile import Profile, host_text
from ...services.feeds import Cancel
from ..rucio_session import PINNED
from . import programs
from .case import Case, note, ok, warning

TABLE = Path(__file__).parents[2] / "data" / "known_versions.toml"
SYSTEM_PYTHON = "/usr/bin/python3"
PLUGIN_PLACES = ("/usr/lib/*/gfal2-plugins", "/usr/lib64/gfal2-plugins", "/usr/lib/gfal2-plugins", "/usr/local/lib*/gfal2-plugins")
PLUGINS = {
    "libgfal_plugin_http.so": ("davs and https", "gfal2-plugin-http"),
    "libgfal_plugin_xrootd.so": ("root", "gfal2-plugin-xrootd"),
    "libgfal_plugin_gridftp.so": ("gsiftp", "gfal2-plugin-gridftp"),
}
"""File of a plug-in -> schemes that it speaks, package of Debian and EPEL."""
PROGRAMS = {
    "xrdcp": ("--version", "copies by hand over root", "xrootd-client"),
    "voms-proxy-init": ("--version", "VOMS proxies", "voms-clients"),
    "oidc-token": ("--version", "tokens of oidc-agent", "oidc-agent"),
}
"""Program -> how it tells its version, what cannot be done without it, package of Debian."""
_SAY_GFAL2 = "import gfal2; print('gfal2', gfal2.get_version())"


def table(path: Path = TABLE) -> list[KnownVersion]:
    """The versions known to be bad; raises OSError, ValueError or TypeError for a table that is none."""
    with path.open("rb") as file:
        return [KnownVersion(**entry) for entry in tomllib.load(file)["version"]]


def said_of(component: str, version: str, where: str, check: str) -> list[Finding]:
    """What the table knows of a component; an ok finding when that is nothing."""
    found = [
        Finding(
            check,
            f"{component} {version} {number}",
            entry.level,
            f"{component} {version} ({where}): {entry.wrong}",
            entry.fix,
            entry.source,
        )
        for number, entry in enumerate(known(table(), component, version), 1)
    ]
    return found or [ok(check, component, f"{component} {version or 'of an unknown version'} ({where}): nothing bad is known")]


def check_gfal2(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """That the system's Python has gfal2, which storage access runs in, and that its version is not a bad one."""
    check = "software.gfal2"
    python = os.environ.get("GFAL_PYTHONBIN") or SYSTEM_PYTHON
    status, said = programs.ran([python, "-s", "-c", _SAY_GFAL2], cancel)
    if status != 0 or not said.startswith("gfal2 "):
        last = said.splitlines()[-1] if said else f"exit {status}"
        summary = f"{python} cannot use gfal2, so no storage door can be tried: {last}"
        return [warning(check, python, summary, "install python3-gfal2 and its plug-ins (Debian, EPEL)", said)]
    return said_of("gfal2", said.split()[1], python, check)


def check_plugins(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """That gfal2 has the plug-ins for davs, root and gsiftp."""
    check, named = "software.plug-ins", os.environ.get("GFAL_PLUGIN_DIR", "")
    places = [Path(named)] if named else [place for pattern in PLUGIN_PLACES for place in Path("/").glob(pattern.lstrip("/"))]
    return plugins_in(check, places)


def plugins_in(check: str, places: Sequence[Path]) -> list[Finding]:
    """What is missing in these directories."""
    there = {name for place in places for name in PLUGINS if (place / name).exists()}
    where = ", ".join(str(place) for place in places) or "any of its places"
    found = [
        warning(check, name, f"gfal2 has no plug-in for {schemes}: {name} is not in {where}", f"install {package}")
        for name, (schemes, package) in PLUGINS.items()
        if name not in there
    ]
    return found or [ok(check, where, f"gfal2 has its plug-ins for davs, root and gsiftp in {where}")]


def check_scripts(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """That gfal-ls and its like start in this shell; the console does not use them, but it shows commands with them."""
    check, path = "software.scripts", os.environ.get("PATH", programs.PLACES)
    script = programs.found_at("gfal-ls", path)
    if script is None:
        return ()
    # The interpreters that the script tries itself, in its order.
    chosen = os.environ.get("GFAL_PYTHONBIN", "")
    for python in [chosen] if chosen else ["python", "python3", "python2", "/usr/bin/python"]:
        at = programs.found_at(python, path)
        if at is not None and programs.ran([str(at), "-c", "import gfal2, gfal2_util"], cancel, path=path)[0] == 0:
            return [ok(check, script, f"{script} starts with {at}")]
    summary = f"{script} and its like do not start in this shell: no Python that they try has gfal2"
    return [note(check, script, summary, f"export GFAL_PYTHONBIN={SYSTEM_PYTHON}")]


def check_clients(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """The console's own rucio-clients, and the `rucio` of the shell where that is another one."""
    check = "software.rucio"
    try:
        version = importlib.metadata.version("rucio-clients")
    except importlib.metadata.PackageNotFoundError:
        return [warning(check, "rucio-clients", "rucio-clients are not installed", f"pip install rucio-clients=={PINNED}")]
    found: list[Finding] = []
    if version != PINNED:
        summary = f"rucio-clients {version} are installed, but the console was made for {PINNED}"
        found.append(warning(check, "console", summary, f"pip install rucio-clients=={PINNED}"))
    found += said_of("rucio-clients", version, "the console's", check)
    program = programs.found_at("rucio", os.environ.get("PATH", programs.PLACES))
    if program is not None and not program.resolve().is_relative_to(Path(sys.prefix).resolve()):
        status, said = programs.ran([str(program), "--version"], cancel, path=os.environ.get("PATH", programs.PLACES))
        if status == 0 and said.split() and (other := said.split()[-1]) != version:
            found += said_of("rucio-clients", other, str(program), check)
    return found


def check_server(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """What is known of the version that Rucio says it has."""
    if case.profile is None:
        return ()
    try:
        version = case.pulse(cancel).version
    except Problem:
        return ()
    return said_of("rucio-server", version, host_text(case.profile.rucio_host), "software.server")


def check_programs(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """The grid's programs that the console starts or tells people to start."""
    check, path = "software.programs", os.environ.get("PATH", programs.PLACES)
    found: list[Finding] = []
    for name, (option, use, package) in PROGRAMS.items():
        program = programs.found_at(name, path)
        if program is not None:
            said = programs.ran([str(program), option], cancel)[1].splitlines()
            version = next((line for line in said if parse(line)), "of an unknown version")
            found.append(ok(check, name, f"{program}: {version}"))
        elif name in _needed(case.profile):
            found.append(warning(check, name, f"{name} is not installed, and the profile needs it for {use}", f"install {package}"))
        else:
            found.append(note(check, name, f"{name} is not installed: no {use}", f"install {package} if you want it"))
    return found


def _needed(profile: Profile | None) -> tuple[str, ...]:
    if profile is None:
        return ()
    return tuple(name for name, wish in (("voms-proxy-init", profile.voms), ("oidc-token", profile.oidc_agent)) if wish)
