"""Macaroons from an https door: a credential for one path, a few activities and some minutes, to hand to somebody or something.

The request is dCache's, which XRootD answers too (libXrdMacaroons): POST to the path with Content-Type
`application/macaroon-request`, a JSON object with `caveats` (`activity:LIST,DOWNLOAD`) and `validity` (ISO 8601 duration).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from ..domain.errors import ConnectionProblem, CredentialProblem, DeniedProblem, Problem, ServerProblem, UsageProblem
from ..domain.profile import Profile, Secret, host_text, origin
from . import bearers, errors, own_files
from .http import OriginSession
from .rucio_session import verification

ACTIVITIES = ("LIST", "DOWNLOAD", "READ_METADATA", "UPLOAD", "DELETE", "MANAGE", "UPDATE_METADATA")
MOST_MINUTES = 24 * 60
"""XRootD gives a day at most where nothing else is configured (`macaroons.maxduration`)."""
MAX_BYTES = 1 << 16
ANSWER_S = 60.0
_LONG = re.compile(r"[A-Za-z0-9_=+/-]{24,}")
"""What may be a macaroon in an answer that is none."""
_MACAROON = re.compile(r"[A-Za-z0-9_=+/-]{16,16384}")


def ask(profile: Profile, address: str, activities: Sequence[str], minutes: int, runtime_dir: Path) -> Secret:
    """A macaroon of the door for the path of `address` (https or davs); shows the profile's proxy, else its token. Raises Problem."""
    unknown = [each for each in activities if each not in ACTIVITIES]
    if unknown or not activities:
        raise UsageProblem(f"no such activity: {', '.join(unknown) or 'none named'}", step=f"one or more of {', '.join(ACTIVITIES)}")
    if not 0 < minutes <= MOST_MINUTES:
        raise UsageProblem("a macaroon lives between 1 minute and a day", step="30 minutes are usual")
    target = f"https://{address.removeprefix('davs://')}" if address.startswith("davs://") else address
    try:
        secure = origin(target)[0] == "https"
    except ValueError:
        secure = False
    if not secure:
        raise UsageProblem("macaroons come from https and davs doors only", step="take the address of such a door of the same RSE")
    return _answered(OriginSession((target,), verification(profile), "the door"), target, profile, activities, minutes, runtime_dir)


def _answered(session: OriginSession, target: str, profile: Profile, activities: Sequence[str], minutes: int, runtime_dir: Path) -> Secret:
    headers = {"Content-Type": "application/macaroon-request", "Accept": "application/json"}
    certificate = None
    try:
        certificate = own_files.client_certificate(profile, "the door was not asked")
    except CredentialProblem as problem:
        if not bearers.origin_of(profile):
            raise
        try:
            headers["Authorization"] = f"Bearer {bearers.current(profile, runtime_dir).reveal()}"
        except Problem:
            raise problem from None
    body = json.dumps({"caveats": [f"activity:{','.join(activities)}"], "validity": f"PT{minutes}M"})
    host = host_text(target)
    try:
        with (
            session.within(ANSWER_S),
            errors.translated(target, "the door"),
            closing(session.post(target, data=body, headers=headers, cert=certificate, stream=True)) as said,
        ):
            content, status = said.raw.read(MAX_BYTES, decode_content=True), said.status_code
    except ConnectionProblem as problem:
        # Seen with XRootD 5.5: it answers nothing at all to a certificate without the attributes of `http.secxtractor`.
        step = "is the door up? XRootD hangs up, too, on a certificate without the VOMS attributes that it wants"
        raise ConnectionProblem(problem.summary, detail=problem.detail, step=step) from None
    if status in (401, 403):
        raise DeniedProblem(
            f"the door {host} gives no macaroon for this credential (status {status})",
            detail=errors.safe_detail(content.decode("utf-8", "replace")),
            step="it has to let you do yourself what the macaroon is to allow; look at the proxy's VOMS attributes or the token's scopes",
        )
    try:
        found = json.loads(content).get("macaroon")
    except (ValueError, RecursionError, AttributeError):
        found = None
    if status // 100 != 2 or not isinstance(found, str) or not _MACAROON.fullmatch(found):
        raise ServerProblem(
            f"the door {host} makes no macaroons, it seems (status {status})",
            detail="" if status // 100 == 2 else errors.safe_detail(_LONG.sub("…", content[:400].decode("utf-8", "replace"))),
            step="ask the site; a token with a narrower scope serves the same end",
        )
    return Secret(found)
