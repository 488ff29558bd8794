"""Making a VOMS proxy with voms-proxy-init on the operator's terminal: its command, and what to believe of what it left.

It asks for the pass phrase itself. It says that all is well and then fails (seen with 2.1.0), so only its exit status and the
file count. The file is a new one, which takes the old proxy's place when it holds.
"""

from __future__ import annotations

import os
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

from ..domain.errors import CredentialProblem, UsageProblem
from ..domain.profile import Profile
from . import proxy_maker, secret_files, x509

PROGRAM = "voms-proxy-init"
HOURS = 12
NEW = "voms-new.pem"
_WANTED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(:/[A-Za-z0-9._/=-]+)?")


def command(profile: Profile, directory: Path, path: str | None = None) -> tuple[list[str], dict[str, str]]:
    """Arguments and whole environment of voms-proxy-init; what an earlier run left is removed. Raises Problem."""
    if not _WANTED.fullmatch(profile.voms):
        raise UsageProblem("the profile names no VO", step="give it voms, as in escape or escape:/escape/Role=operator")
    if profile.certificate is None or profile.key is None:
        raise CredentialProblem("a VOMS proxy needs certificate and key", step="add both to the profile")
    for each, what in ((profile.certificate, "the certificate"), (profile.key, "the key")):
        if not each.exists():
            raise CredentialProblem(f"{what} {each}: there is no such file", step="mend the path in the profile")
    search = path or os.environ.get("PATH") or os.defpath
    program = shutil.which(PROGRAM, path=search)
    if program is None:
        raise CredentialProblem(f"{PROGRAM} is not installed", step="install voms-clients, or make a proxy without VOMS attributes")
    new = directory / NEW
    new.unlink(missing_ok=True)
    arguments = [program, "-rfc", "-bits", str(proxy_maker.BITS), "-valid", f"{HOURS}:00", "-voms", profile.voms]
    arguments += ["-cert", str(profile.certificate), "-key", str(profile.key), "-out", str(new)]
    environment = {
        "PATH": search,
        "HOME": os.environ.get("HOME") or str(directory),
        "TERM": os.environ.get("TERM") or "dumb",
        "LANG": os.environ.get("LANG") or "C.UTF-8",
        "X509_USER_CERT": str(profile.certificate),
        "X509_USER_KEY": str(profile.key),
        "X509_USER_PROXY": str(new),
    }
    if profile.ca_path is not None:
        arguments += ["-certdir", str(profile.ca_path)]
        environment["X509_CERT_DIR"] = str(profile.ca_path)
    if profile.voms_dir is not None:
        arguments += ["-vomsdir", str(profile.voms_dir)]
        environment["X509_VOMS_DIR"] = str(profile.voms_dir)
    if profile.vomses is not None:
        arguments += ["-vomses", str(profile.vomses)]
        # The C++ and the Java client each have their own name for it.
        environment |= {"VOMS_USERCONF": str(profile.vomses), "X509_VOMSES": str(profile.vomses)}
    return arguments, environment


def left(profile: Profile, directory: Path, exit_status: int, now: datetime | None = None) -> tuple[bytes, x509.CertificateFile]:
    """The proxy that voms-proxy-init left, and what is in it; raises CredentialProblem when it does not hold."""
    moment = now or datetime.now(UTC)
    new = directory / NEW
    try:
        if exit_status != 0:
            raise _no(f"failed (exit status {exit_status})", "its words on the terminal say why; the old proxy is still there")
        if not new.exists():
            raise _no("left no proxy, though it says that all is well", "check vomses, voms_dir and ca_path of the profile")
        content = secret_files.read_secret(new, "the new proxy", own=True)
        found = x509.parse(content, "the new proxy")
        if not found.is_proxy:
            raise _no("left something that is no proxy", "the old proxy is still there")
        proxy_maker.holder(content, content, None, "the new proxy", moment)
        _attributes(profile.voms, found, moment)
        return content, found
    finally:
        new.unlink(missing_ok=True)


def _attributes(wanted: str, found: x509.CertificateFile, now: datetime) -> None:
    vo, _, fqan = wanted.partition(":")
    fitting = [ac for ac in found.voms if vo_of(ac) == vo]
    if not fitting:
        others = ", ".join(filter(None, map(vo_of, found.voms)))
        raise _no(f"left a proxy without attributes of {vo}" + (f" (it has those of {others})" if others else ""), "are you a member?")
    if all(ac.expires is None or ac.expires <= now for ac in fitting):
        raise _no(f"left attributes of {vo} that have ended", "is the clock of this machine right?")
    if fqan and _plain(fqan) not in {_plain(each) for ac in fitting for each in ac.fqans}:
        raise _no(f"left a proxy without {fqan}", f"ask who runs {vo} for that role or group, or ask for less in voms of the profile")


def vo_of(ac: x509.AttributeCertificate) -> str:
    """The VO of an AC: from the VOMS server that signs it (`vo://host:port`), else from its first FQAN."""
    named = ac.authority.partition("://")[0] if "://" in ac.authority else ""
    return named or next((fqan.split("/")[1] for fqan in ac.fqans if fqan.startswith("/")), "")


def _plain(fqan: str) -> str:
    return fqan.removesuffix("/Capability=NULL").removesuffix("/Role=NULL")


def _no(what: str, step: str) -> CredentialProblem:
    return CredentialProblem(f"{PROGRAM} {what}", step=step)
