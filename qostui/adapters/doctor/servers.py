"""Checks of servers: Rucio, its log-in host, the token issuer, FTS, and the certificate of each storage door."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from ipaddress import ip_address

from cryptography.hazmat.primitives.serialization import Encoding

from ...domain.errors import CredentialProblem, Problem
from ...domain.finding import Finding
from ...domain.profile import Profile, host_text, origin
from ...domain.rse import Rse
from ...domain.units import duration_text
from ...services.feeds import Cancel
from .. import rucio_session, tokens
from ..http import OriginSession
from ..rucio_session import verification
from . import peer, trust
from .case import MAX_RSES, Case, fault, note, of_problem, ok, warning
from .rounds import Job, run

SKEW_NOTE, SKEW_FAULT = timedelta(seconds=5), timedelta(seconds=60)
"""Tokens and proxies begin at the moment they are made: seconds matter. Many servers bear one to five minutes."""
ENDS_SOON, ENDS_LATER = timedelta(days=7), timedelta(days=30)
DOORS_AT_ONCE, DOOR_LIMIT_S = 6, 12.0
TLS_SCHEMES = ("davs", "https", "roots", "xroots", "s3s")
XROOT_TLS_SCHEMES = ("roots", "xroots")
"""These begin in clear and go over to TLS on the same port."""
DEFAULT_PORTS = {"davs": 443, "https": 443, "root": 1094, "roots": 1094, "xroots": 1094, "gsiftp": 2811, "srm": 8443, "http": 80, "dav": 80}


def check_clock(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """This machine's clock against the `Date` header of Rucio."""
    if case.profile is None:
        return ()
    try:
        skew = case.pulse(cancel).skew
    except Problem:
        return ()
    return judged_clock(skew, host_text(case.profile.rucio_host))


def judged_clock(skew: timedelta, host: str) -> list[Finding]:
    """What a difference of clocks means; `skew` is the server's minus ours."""
    check = "clock.server"
    if abs(skew) < SKEW_NOTE:
        return [ok(check, host, f"this clock agrees with that of {host}")]
    summary = f"this clock is {duration_text(skew)} {'behind' if skew > timedelta() else 'ahead of'} that of {host}"
    fix = "set the clock: timedatectl set-ntp true (or find out which of the two is wrong)"
    if abs(skew) >= SKEW_FAULT:
        return [fault(check, host, f"{summary}: fresh tokens and proxies are refused", fix)]
    return [warning(check, host, summary, fix)]


def check_rucio(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """That Rucio answers, and which version it is."""
    profile = case.profile
    if profile is None:
        return ()
    host = host_text(profile.rucio_host)
    try:
        pulse = case.pulse(cancel)
    except Problem as problem:
        return [of_problem("servers.rucio", host, problem, _step(problem, "rucio_host"))]
    found = [ok("servers.rucio", host, f"Rucio {pulse.version or 'of an unknown version'} answers at {host}")]
    for scheme, name, port in dict.fromkeys((origin(profile.rucio_host), origin(profile.login_host))):
        if scheme == "http" and not is_loopback(name):
            summary = f"{name}:{port} is called without TLS: pass words and tokens go over the network in clear"
            found.append(
                warning("servers.rucio", f"{name}:{port} in clear", summary, "write https:// in the profile, if the server has it")
            )
    return found


def is_loopback(host: str) -> bool:
    """Whether what is sent to that host stays on this machine, as far as its name tells."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _step(problem: Problem, key: str) -> str:
    """What to do about a server that cannot be reached or fails; a Problem's own step speaks to who watches the console."""
    if problem.retry:
        return f"check `{key}` of the profile and the network; if others do not reach it either, tell its operators"
    return problem.step


def check_certificates(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """How long the certificates of Rucio and of its log-in host last; whether they are accepted is told where they are called."""
    profile = case.profile
    if profile is None:
        return ()
    found: list[Finding] = []
    for scheme, host, port in dict.fromkeys((origin(profile.rucio_host), origin(profile.login_host))):
        if scheme == "https":
            subject = f"{host}:{port}"
            try:
                shown = peer.certificate(host, port, peer.trusting(verification(profile)), f"Rucio at {subject}", cancel)
            except Problem:
                continue
            if not shown.refused:
                found += lasting("servers.certificate", subject, f"Rucio at {subject}", shown, case)
    return found


def check_login_host(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """That the log-in host answers, where it is another than Rucio."""
    profile = case.profile
    if profile is None or origin(profile.login_host) == origin(profile.rucio_host):
        return ()
    return [_answers("servers.log-in", profile, profile.login_host, "/auth/ping", "the log-in host", "auth_host", cancel)]


def _answers(check: str, profile: Profile, address: str, path: str, what: str, key: str, cancel: Cancel) -> Finding:
    """Any answer below 500 will do: who we are is not told."""
    host = host_text(address)
    try:
        http = OriginSession((address,), verification(profile), what)
        cancel.closes(http.end)
        status = http.get(f"{address.rstrip('/')}{path}").status_code
    except Problem as problem:
        return of_problem(check, host, problem, _step(problem, key))
    if status >= 500:
        return fault(check, host, f"{what} at {host} answers HTTP {status}", "its operators know more; try again later")
    return ok(check, host, f"{what} at {host} answers")


def check_issuer(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """That the token issuer can be reached, and names itself in its discovery document exactly as it is configured."""
    check, profile = "servers.issuer", case.profile
    issuer = _issuer(profile) if profile is not None else ""
    if profile is None or not issuer:
        return ()
    try:
        if origin(issuer)[0] != "https":
            return [fault(check, issuer, f"the token issuer {issuer} is not https", "tokens of such an issuer cannot be checked")]
        http = OriginSession((issuer,), verification(profile), "the token issuer")
        cancel.closes(http.end)
        response = http.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration", headers={"Accept": "application/json"})
        document = json.loads(response.content[: 1 << 20]) if response.status_code == 200 else None
    except Problem as problem:
        return [of_problem(check, issuer, problem, _step(problem, "issuer"))]
    except ValueError:
        document = None
    if not isinstance(document, dict):
        return [fault(check, issuer, f"the token issuer {issuer} has no discovery document", "is the address right, with its path?")]
    itself = str(document.get("issuer") or "")
    if itself != issuer:
        summary = f"the token issuer {issuer} calls itself {itself or 'nothing'}: Rucio and storages compare letter by letter"
        return [fault(check, issuer, summary, f"write issuer = {json.dumps(itself)} in the profile" if itself else "ask its operators")]
    return [ok(check, issuer, f"the token issuer {issuer} answers")]


def _issuer(profile: Profile) -> str:
    if profile.issuer:
        return profile.issuer
    if profile.token_file is None and profile.auth != "oidc":
        return ""
    try:
        claims = tokens.decode(rucio_session.bearer(profile).reveal())
        issuer = claims.issuer if claims is not None else ""
        origin(issuer)
    except (CredentialProblem, ValueError):
        return ""
    return issuer


def check_fts(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """That FTS answers: the profile's, else those that the RSEs name."""
    profile = case.profile
    if profile is None:
        return ()
    addresses = [profile.fts]
    if not profile.fts:
        try:
            addresses = sorted({dict(rse.attributes).get("fts", "") for rse in case.rses(cancel)})
        except Problem:
            return ()
    found: list[Finding] = []
    for address in filter(None, addresses):
        try:
            origin(address)
        except ValueError:
            found.append(fault("servers.fts", address, f"{address} is no address of an FTS", "mend the RSE attribute fts"))
            continue
        found.append(_answers("servers.fts", profile, address, "/", "FTS", "fts", cancel))
    return found


def check_doors(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """That each door answers, and that the host certificate of those with TLS is accepted and lasts."""
    check, profile = "servers.doors", case.profile
    if profile is None:
        return ()
    try:
        rses = case.rses(cancel)
    except Problem as problem:
        return [note(check, "doors", f"the doors were not looked at: {problem.summary}")]
    jobs = [
        Job(f"{scheme}://{host}:{port}", _door(case, profile, scheme, host, port, names), DOOR_LIMIT_S)
        for (scheme, host, port), names in doors_of(rses).items()
    ]
    found: list[Finding] = []
    if len(rses) == MAX_RSES:
        found.append(note(check, "doors", f"only the doors of the first {MAX_RSES} RSEs were looked at"))
    for outcome in run(jobs, cancel, DOORS_AT_ONCE):
        if outcome.error is not None:
            # Its words may hold anything, so only its kind is told; the other doors are looked at all the same.
            summary = f"the door {outcome.job.name} could not be looked at ({type(outcome.error).__name__})"
            found.append(warning(check, outcome.job.name, summary, "report this"))
        elif outcome.value is None:
            summary = f"the door {outcome.job.name} does not answer within {DOOR_LIMIT_S:.0f} s"
            found.append(fault(check, outcome.job.name, summary, "tell its operators, or use another door of the RSE"))
        else:
            found += outcome.value
    return found


def doors_of(rses: Iterable[Rse]) -> dict[tuple[str, str, int], list[str]]:
    """(scheme, host, port) -> names of the RSEs that share it."""
    found: dict[tuple[str, str, int], list[str]] = {}
    for rse in rses:
        for door in rse.doors:
            place = (door.scheme, door.hostname, door.port or DEFAULT_PORTS.get(door.scheme, 0))
            if door.hostname and place[2] and rse.name not in found.setdefault(place, []):
                found[place].append(rse.name)
    return found


def _door(case: Case, profile: Profile, scheme: str, host: str, port: int, names: list[str]) -> Callable[[Cancel], list[Finding]]:
    def look(cancel: Cancel) -> list[Finding]:
        check, subject = "servers.doors", f"{scheme}://{host}:{port}"
        what = f"the door {subject} of {', '.join(names[:3])}{' and more' if len(names) > 3 else ''}"
        try:
            if scheme not in TLS_SCHEMES:
                peer.reach(host, port, what, cancel).close()
                return [ok(check, subject, f"{what} answers")]
            shown = peer.certificate(host, port, _door_trust(case, profile), what, cancel, xroot=scheme in XROOT_TLS_SCHEMES)
        except Problem as problem:
            return [of_problem(check, subject, problem, "tell its operators, or use another door of the RSE")]
        return lasting(check, subject, what, shown, case)

    return look


def _door_trust(case: Case, profile: Profile) -> ssl.SSLContext:
    """The CAs of the grid directory, whatever their files are called (trust.names tells of those), else the profile's."""
    directory = trust.read(case)
    if directory is None or not directory.anchors:
        return peer.trusting(verification(profile))
    return ssl.create_default_context(cadata=b"".join(each.certificate.public_bytes(Encoding.DER) for each in directory.anchors))


def lasting(check: str, subject: str, what: str, shown: peer.Peer, case: Case) -> list[Finding]:
    """What the dates of a server's certificate, and our CAs, say."""
    fix = "tell its operators; until then use another door or instance"
    left = shown.expires - case.now if shown.expires is not None else None
    owner = f"certificate {shown.subject}, made for {', '.join(shown.names) or 'no DNS name'}" if shown.subject else ""
    if left is not None and left <= timedelta(0):
        return [fault(check, subject, f"{what}: its host certificate expired {duration_text(left)} ago", fix, owner)]
    if shown.refused:
        return [
            fault(
                check, subject, f"{what}: its host certificate is not accepted: {shown.refused}", "check ca and ca_path; else " + fix, owner
            )
        ]
    if left is None:
        return [note(check, subject, f"{what}: its host certificate could not be read")]
    days = f"{what}: its host certificate lasts {left.days} d"
    if left < ENDS_SOON:
        return [warning(check, subject, days, "tell its operators", owner)]
    return [note(check, subject, days) if left < ENDS_LATER else ok(check, subject, days, owner)]
