"""Texts of failures as FTS writes them, which failures it tries again, and what must not stand in any text.

A reason is `<SCOPE> [<errno>] <text>`: the scope is the step that failed, as in fts_url_copy. SOURCE is the look at
the source, DESTINATION the look at the destination before or after, TRANSFER the copy and its checksums (whose text
then often begins with the side gfal2 blames), STAGING and ARCHIVING the tape steps. Standard library only.
"""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass

SOURCE, DESTINATION, TRANSFER = "SOURCE", "DESTINATION", "TRANSFER"
STAGING, ARCHIVING = "STAGING", "ARCHIVING"
SCOPES = (SOURCE, DESTINATION, TRANSFER, STAGING, ARCHIVING)

EXISTS = "Destination file exists and overwrite is not enabled"
EXISTS_ON_TAPE = "Destination file exists and is on tape (overwrite-when-only-on-disk requested)"
SIZES_DIFFER = "Source and destination file size mismatch"
DIED = "Transfer process died"
STAGING_TIMEOUT = "bring-online timeout has been exceeded"
ARCHIVING_TIMEOUT = "archiving timeout has been exceeded"
_LONGEST = 2048
"""Characters kept of a text: t_file.reason of FTS is a varchar(2048)."""

_TRY_AGAIN = (
    "performance marker",
    "Name or service not known",
    "Connection timed out",
    "end-of-file was reached",
    "end of file occurred",
    "SRM_INTERNAL_ERROR",
    "was forcefully killed",
    "operation timeout",
)
_NEVER_AGAIN = (
    "proxy expired",
    "with an error 550 File not found",
    "File exists and overwrite",
    "No such file or directory",
    "SRM_INVALID_PATH",
    "The certificate has expired",
    "The available CRL has expired",
    "SRM Authentication failed",
    "SRM_DUPLICATION_ERROR",
    "SRM_AUTHENTICATION_FAILURE",
    "SRM_NO_FREE_SPACE",
    "digest too big for rsa key",
    "Can not determine address of local host",
    "Permission denied",
    "System error in write into HDFS",
    "File exists",
    "checksum do not match",
    "CHECKSUM MISMATCH",
)
_REFUSED = {errno.EPERM, errno.EACCES, errno.ENAMETOOLONG, errno.EPROTONOSUPPORT}
_FINAL_CODES = {
    SOURCE: _REFUSED | {errno.ENOENT, errno.EISDIR, errno.E2BIG, errno.ENOTDIR},
    DESTINATION: _REFUSED | {errno.EISDIR, errno.E2BIG, errno.EEXIST},
    TRANSFER: _REFUSED | {errno.ENOSPC, errno.EEXIST, errno.EFBIG, errno.EROFS},
}

_SECRETS = (
    re.compile(r"(?i)((?:authz|access_token|token)=(?:bearer(?:%20|\+|\s))?)[^&\s\"'<>]+"),
    re.compile(r"(?i)(bearer(?:%20|\+|\s+))[A-Za-z0-9._~+/=-]{16,}"),
    re.compile(r"()\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.?[A-Za-z0-9_-]*"),
)


@dataclass(frozen=True)
class Failure:
    """Why a step failed: its scope, an errno and the other side's text."""

    scope: str
    code: int
    text: str

    @property
    def reason(self) -> str:
        """The text FTS would put into `reason`."""
        return f"{self.scope} [{self.code}] {masked(self.text)}"[:_LONGEST]

    @property
    def recoverable(self) -> bool:
        """Whether FTS would try again (fts3, url-copy/heuristics.cpp; the recorded samples agree)."""
        if any(text in self.text for text in _TRY_AGAIN) or self.code == errno.ETIMEDOUT:
            return True
        if self.code == errno.ECANCELED or any(text in self.text for text in _NEVER_AGAIN):
            return False
        return self.code not in _FINAL_CODES.get(self.scope, frozenset())


def died(signal_number: int | None) -> Failure:
    """The failure of a transfer whose process ended in the middle of it."""
    return Failure(TRANSFER, errno.EINTR, f"{DIED} with signal {signal_number}" if signal_number else DIED)


def timed_out(scope: str, seconds: float) -> Failure:
    """The failure of a step that was killed after `seconds`."""
    return Failure(scope, errno.ETIMEDOUT, f"operation timeout: no end after {seconds:.0f} s, the transfer was forcefully killed")


def checksums_differ(source: str, wanted: str) -> Failure:
    """The failure of a source that is not what the job says it is."""
    return Failure(TRANSFER, errno.EIO, f"Source and user-defined {wanted} checksum do not match ({source} != {wanted})")


def same_checksum(one: str, other: str) -> bool:
    """Whether two checksums are equal, leading zeros and case aside."""
    return one.lstrip("0").lower() == other.lstrip("0").lower()


def masked(text: str) -> str:
    """`text` without bearer tokens, wherever it came from."""
    for pattern in _SECRETS:
        text = pattern.sub(r"\1***", text)
    return text
