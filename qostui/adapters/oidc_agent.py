"""Access tokens of a running oidc-agent, over its UNIX socket.

One JSON object each way (oidc-agent 4.2 and later, "IPC-API" of its documentation): a request that begins as JSON is answered
in plain JSON, so that nothing but the socket's owner and mode stands between; the encryption that its own clients use is optional.
"""

from __future__ import annotations

import json
import math
import os
import socket
import stat
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

from ..domain.errors import ConnectionProblem, CredentialProblem, Problem, ServerProblem
from ..domain.profile import Secret
from ..domain.text import clean
from . import environment

MAX_BYTES = 1 << 18
LIMIT_S = 20.0
"""The agent may have to ask the provider first."""
LEAST_VALID_S = 120
ANOTHER = -1
"""As min_valid_period: a token that was not handed out before (FORCE_NEW_TOKEN of oidc-agent 4 and 5)."""
EARLY = timedelta(seconds=60)
HINT = "qostui"
_lock = Lock()
_known: dict[tuple[str, ...], AgentToken] = {}


@dataclass(frozen=True)
class AgentToken:
    """What the agent gave."""

    token: Secret
    issuer: str
    expires: datetime | None


def token(account: str, scope: str = "", audience: str = "") -> Secret:
    """The account's access token, asked for again before it ends; "" is the account's usual scope or audience. Raises Problem."""
    wanted = (environment.agent_socket(), account, scope, audience)
    with _lock:
        kept = _known.get(wanted)
        if kept is None or kept.expires is None or kept.expires - EARLY <= datetime.now(UTC):
            kept = _known[wanted] = ask(account, scope, audience)
        return kept.token


def forget(account: str) -> None:
    """Ask the agent again at the next use: a server refused the token."""
    with _lock:
        for each in [known for known in _known if known[1] == account]:
            del _known[each]


def ask(account: str, scope: str = "", audience: str = "", least_valid_s: int = LEAST_VALID_S) -> AgentToken:
    """A token of the account `account` of the agent, with this scope and audience where they are named. Raises Problem."""
    request: dict[str, Any] = {
        "request": "access_token",
        "account": account,
        "min_valid_period": least_valid_s,
        "application_hint": HINT,
    }
    request |= {name: value for name, value in (("scope", scope), ("audience", audience)) if value}
    answer = _exchanged(request)
    refusal = answer.get("error")
    if refusal is not None or answer.get("status") not in (None, "success"):
        raise _refusal(account, str(refusal or "it gives no reason"), str(answer.get("info") or ""))
    found = answer.get("access_token")
    if not isinstance(found, str) or not found or not found.isprintable() or " " in found:
        raise ServerProblem("the answer of oidc-agent makes no sense: no access token", step="is it an oidc-agent of version 4 or later?")
    return AgentToken(Secret(found), str(answer.get("issuer") or ""), _moment(answer.get("expires_at")))


def _refusal(account: str, reason: str, hint: str) -> Problem:
    said = clean(reason[:300])
    if "No account configured" in reason or "not loaded" in reason:
        return CredentialProblem(f"oidc-agent has no account {account!r} loaded", detail=said, step=f"oidc-add {account}")
    return CredentialProblem(
        f"oidc-agent gives no token of {account!r}: {said}", detail=clean(hint[:300]), step="try it by hand: oidc-token " + account
    )


def _moment(value: object) -> datetime | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _exchanged(request: dict[str, Any]) -> dict[str, Any]:
    place = environment.agent_socket()
    if not place:
        raise CredentialProblem("no oidc-agent runs here: $OIDC_SOCK is not set", step="start one: eval $(oidc-agent-service use)")
    content = b""
    deadline = time.monotonic() + LIMIT_S
    try:
        found = os.stat(place)
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid not in (os.geteuid(), 0):
            raise CredentialProblem(f"{place} is not the socket of an oidc-agent of ours", step="check $OIDC_SOCK")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(LIMIT_S)
            connection.connect(place)
            connection.sendall(json.dumps(request).encode())
            # The agent does not close the connection: the answer ends where the object does.
            while len(content) <= MAX_BYTES:
                connection.settimeout(max(deadline - time.monotonic(), 0.01))
                part = connection.recv(65536)
                content += part
                answer = _object(content)
                if answer is not None:
                    return answer
                if not part:
                    break
    except TimeoutError:
        raise ConnectionProblem("oidc-agent does not answer in time", step="is its provider up? try: oidc-token") from None
    except OSError as error:
        raise ConnectionProblem(
            f"cannot talk to oidc-agent at {place}: {error.strerror}", step="start one: eval $(oidc-agent-service use)"
        ) from error
    raise ServerProblem("the answer of oidc-agent makes no sense", step="is it an oidc-agent of version 4 or later?")


def _object(content: bytes) -> dict[str, Any] | None:
    if not content.rstrip(b"\0 \r\n").endswith(b"}"):
        return None
    try:
        found = json.loads(content.rstrip(b"\0 \r\n"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
