"""Checks of the credentials that the profile holds: certificate and key, proxy and its attributes, token, pass word."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from ...domain.errors import CredentialProblem, Problem
from ...domain.finding import Finding
from ...domain.profile import Profile
from ...domain.units import duration_text, minute_text
from ...services.feeds import Cancel
from .. import rucio_session, secret_files, tokens
from .. import x509 as grid
from .case import Case, fault, note, of_problem, ok, warning

SOON = timedelta(hours=1)
CERTIFICATE_SOON = timedelta(days=14)
SAME = timedelta(minutes=1)
"""Proxy and AC that end this close together end together: their makers stamp them seconds apart."""


def check_certificate(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """That the profile's certificate can be read and is in force."""
    check, profile = "credentials.certificate", case.profile
    if profile is None or profile.certificate is None:
        return ()
    path = profile.certificate
    try:
        found = grid.read(path, "the certificate", secret=False)
    except CredentialProblem as problem:
        return [of_problem(check, path, problem)]
    fix = "ask your CA for a new certificate"
    return _lifetime(check, path, f"the certificate {path}", found.not_before, found.expires, case.now, CERTIFICATE_SOON, fix)


def check_key(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """That the key is private, readable, and the one of the certificate."""
    check, profile = "credentials.key", case.profile
    if profile is None or profile.key is None:
        return ()
    path = profile.key
    try:
        content = secret_files.read_secret(path, "the key")
    except CredentialProblem as problem:
        return [of_problem(check, path, problem)]
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(content, None)
    except TypeError:
        return [note(check, path, f"the key {path} needs a pass phrase, so it cannot be compared with the certificate")]
    except Exception as error:  # whatever the library makes of a broken file
        return [fault(check, path, f"the key {path} cannot be read", "is it a PEM file with a private key?", type(error).__name__)]
    if profile.certificate is not None:
        from .anchors import certificates_of

        try:
            first = certificates_of(profile.certificate.read_bytes()[: secret_files.MAX_BYTES])[0]
        except (OSError, ValueError):
            return [ok(check, path, f"the key {path} is private")]  # what is wrong with the certificate is told there
        if first.public_key() != key.public_key():
            summary = f"the key {path} does not belong to the certificate {profile.certificate}"
            return [fault(check, path, summary, "give the profile the key that the certificate was requested with")]
    return [ok(check, path, f"the key {path} is private and belongs to the certificate")]


def check_proxy(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """That the proxy is private, is one, and still lasts."""
    check, profile = "credentials.proxy", case.profile
    if profile is None or profile.proxy is None:
        return ()
    path, fix = profile.proxy, _new_proxy(profile)
    try:
        found = grid.read(path, "the proxy", secret=True)
    except CredentialProblem as problem:
        return [of_problem(check, path, problem)]
    if not found.is_proxy:
        return [warning(check, path, f"the proxy {path} holds a certificate that is no proxy", fix)]
    return _lifetime(check, path, f"the proxy {path}", found.not_before, found.expires, case.now, SOON, fix)


def check_attributes(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """That the VOMS attributes in the proxy still last: they have a clock of their own."""
    check, profile = "credentials.attributes", case.profile
    if profile is None or profile.proxy is None:
        return ()
    path, fix = profile.proxy, _new_proxy(profile)
    try:
        found = grid.read(path, "the proxy", secret=True)
    except CredentialProblem:
        return ()
    if found.expires <= case.now:
        return ()
    if found.voms_problem:
        return [fault(check, path, f"the proxy {path}: {found.voms_problem}", fix)]
    if not found.voms:
        if profile.voms:
            summary = f"the proxy {path} has no VOMS attributes, though the profile names {profile.voms}"
            return [warning(check, path, summary, fix)]
        return ()
    results: list[Finding] = []
    for ac in found.voms:
        who = ac.fqans[0] if ac.fqans else ac.authority
        what, subject = f"the VOMS attributes {who} in {path}", f"{path} {who}"
        if ac.expires is None or ac.not_before is None:
            results.append(note(check, subject, f"{what} do not say until when they hold"))
            continue
        if ac.expires <= case.now:
            left = duration_text(found.expires - case.now)
            summary = f"{what} expired {duration_text(case.now - ac.expires)} ago, though the proxy has {left} left"
            results.append(fault(check, subject, summary, fix))
            continue
        lasting = _lifetime(check, subject, what, ac.not_before, ac.expires, case.now, SOON, fix)
        if lasting[0].level == "ok" and found.expires - ac.expires > SAME:
            summary = f"{what} end in {duration_text(ac.expires - case.now)}, before the proxy does"
            lasting = [note(check, subject, summary, fix)]
        results += lasting
    return results


def check_token(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """That the access token is private, in force, and made for somebody."""
    check, profile = "credentials.token", case.profile
    if profile is None or (profile.token_file is None and (profile.auth != "oidc" or profile.token is None)):
        return ()
    where = str(profile.token_file or profile.source_of("token"))
    fix = _new_token(profile)
    try:
        token = rucio_session.bearer(profile)
    except CredentialProblem as problem:
        return [of_problem(check, where, problem)]
    claims = tokens.decode(token.reveal())
    what = f"the access token of {where}"
    if claims is None:
        return [note(check, where, f"{what} is no JSON Web Token, so nothing can be read from it")]
    found = _lifetime(check, where, what, claims.not_before or claims.issued, claims.expires, case.now, timedelta(0), fix)
    if claims.algorithm.lower() in ("", "none"):
        found.append(fault(check, f"{where} signature", f"{what} is not signed (alg {claims.algorithm or 'missing'})", fix))
    if not claims.audience:
        summary = f"{what} names no audience: strict servers refuse it, careless ones may use it elsewhere"
        found.append(
            warning(check, f"{where} audience", summary, "ask the provider for a token with an audience: set `audience` in the profile")
        )
    return found


def check_password(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """That the file with the pass word is private and not empty."""
    check, profile = "credentials.password", case.profile
    if profile is None or profile.password_file is None:
        return ()
    path = profile.password_file
    try:
        secret_files.first_line(path, "the pass word file")
    except CredentialProblem as problem:
        return [of_problem(check, path, problem)]
    return [ok(check, path, f"the pass word file {path} is private")]


def check_log_in(case: Case, cancel: Cancel) -> Sequence[Finding]:
    """That Rucio takes the credential; asked only when nothing that was found here explains a refusal already."""
    check, profile = "credentials.log-in", case.profile
    if profile is None:
        return ()
    where = f"{profile.account} at {profile.login_host}"
    for look in LOG_IN_NEEDS[profile.auth]:
        spoiled = [each for each in look(case, cancel) if each.level == "fault"]
        if spoiled:
            return [note(check, where, f"the log-in of {where} was not tried: {spoiled[0].summary}")]
    try:
        case.pulse(cancel)
    except Problem as problem:
        return [note(check, where, f"the log-in of {where} was not tried: {problem.summary}")]
    try:
        kept = case.log_in(cancel)
    except CredentialProblem as problem:
        return [of_problem(check, where, problem)]
    except Problem as problem:
        return [note(check, where, f"the log-in of {where} could not be tried: {problem.summary}", problem.step, problem.detail)]
    how = "the session that an earlier run left" if kept else f"by {profile.auth}"
    return [ok(check, where, f"Rucio takes the log-in of {where} ({how})")]


LOG_IN_NEEDS = {
    "userpass": (check_password,),
    "x509": (check_certificate, check_key),
    "x509_proxy": (check_proxy,),
    "oidc": (check_token,),
}
"""How one logs in -> the checks that see what it needs."""


def _lifetime(
    check: str, subject: object, what: str, not_before: datetime | None, expires: datetime | None, now: datetime, soon: timedelta, fix: str
) -> list[Finding]:
    if expires is not None and expires <= now:
        return [fault(check, subject, f"{what} expired {duration_text(now - expires)} ago", fix)]
    if not_before is not None and not_before > now:
        summary = f"{what} is not valid before {minute_text(not_before)}, in {duration_text(not_before - now)}"
        return [fault(check, subject, summary, "check this machine's clock (timedatectl), or wait")]
    if expires is not None and expires - now < soon:
        return [warning(check, subject, f"{what} ends in {duration_text(expires - now)}", fix)]
    lasts = f"lasts {duration_text(expires - now)} more" if expires is not None else "states no end"
    return [ok(check, subject, f"{what} {lasts}")]


def _new_proxy(profile: Profile) -> str:
    out = f" -out {profile.proxy}" if profile.proxy is not None else ""
    return f"voms-proxy-init{' -voms ' + profile.voms if profile.voms else ''}{out}"


def _new_token(profile: Profile) -> str:
    if profile.oidc_agent:
        return (
            f"oidc-token {profile.oidc_agent} > {_quoted(profile.token_file)}"
            if profile.token_file
            else f"oidc-gen --reauthenticate {profile.oidc_agent}"
        )
    return "log in anew at the OpenID provider" if profile.issuer else "get a new token into the file"


def _quoted(path: Path | None) -> str:
    from shlex import quote

    return quote(str(path))
