"""Every error of the console, as a value with a cause, a category and a next step.

    Problem
    ├── UsageProblem         wrong arguments or configuration          exit 2
    ├── ConnectionProblem    nobody answers, or the answer broke off    exit 3, retry may help
    ├── CertificateProblem   TLS: the server's certificate is not accepted, exit 4
    ├── CredentialProblem    refused, expired or missing credential     exit 4
    ├── DeniedProblem        logged in, but not allowed                 exit 1
    ├── ServerProblem        the server failed or talks nonsense        exit 1
    │   └── OverloadProblem  it has too much to do                      exit 1
    └── NotFoundProblem      what was asked for does not exist          exit 1

Adapters raise them, services decide on them, the UI shows them. No third-party exception passes an adapter.
"""

from __future__ import annotations


class Problem(Exception):
    """What went wrong, in one line for an operator.

    `summary` is one safe line; `detail` is the raw text of the other side, made safe; `step` says what to do next;
    `retry` says whether waiting may help.
    """

    category = "failed"
    exit_code = 1
    retry = False

    def __init__(self, summary: str, *, detail: str = "", step: str = "") -> None:
        super().__init__(summary)
        self.summary = summary
        self.detail = detail
        self.step = step


class UsageProblem(Problem):
    """Wrong arguments or a broken configuration."""

    category = "usage"
    exit_code = 2


class ConnectionProblem(Problem):
    """Nobody answers at that address, or the answer broke off."""

    category = "connection"
    exit_code = 3
    retry = True


class CertificateProblem(Problem):
    """The server's certificate is not accepted: wrong CA, wrong name, expired or revoked."""

    category = "certificate"
    exit_code = 4


class CredentialProblem(Problem):
    """The credential is missing, expired or refused."""

    category = "credential"
    exit_code = 4


class DeniedProblem(Problem):
    """Logged in, but this account may not do that."""

    category = "denied"


class ServerProblem(Problem):
    """The server failed, or its answer makes no sense."""

    category = "server"
    retry = True


class OverloadProblem(ServerProblem):
    """The server has too much to do: HTTP 429, 502, 503 or 504 (RFC 6585 section 4, RFC 9110 section 15.6).

    `retry_after` is how many seconds it asks for, None when it does not say; `everywhere` says that it means all calls,
    and not the one that it could not answer.
    """

    def __init__(
        self, summary: str, *, detail: str = "", step: str = "", retry_after: float | None = None, everywhere: bool = False
    ) -> None:
        super().__init__(summary, detail=detail, step=step)
        self.retry_after = retry_after
        self.everywhere = everywhere


class NotFoundProblem(Problem):
    """What was asked for does not exist."""

    category = "not found"
