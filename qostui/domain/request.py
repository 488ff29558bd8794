"""Transfer requests, what FTS says of them, and the totals of a link (source RSE, destination RSE)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class FtsFile:
    """What FTS says of the one file of a request."""

    job_state: str
    file_state: str = ""
    reason: str = ""
    """`<SOURCE|DESTINATION|TRANSFER> [errno] text`, as FTS writes it; raw."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    source_surl: str = ""


@dataclass(frozen=True, slots=True)
class Totals:
    """`/requests/metrics` of one link: files and bytes queued, and ended in the last 1 and 6 hours."""

    queued: int = 0
    queued_bytes: int = 0
    done_1h: int = 0
    done_6h: int = 0
    failed_1h: int = 0
    failed_6h: int = 0
    done_bytes_1h: int = 0
    done_bytes_6h: int = 0
    distance: int | None = None

    @property
    def busy(self) -> bool:
        """Something is queued, or ended in the last six hours."""
        return bool(self.queued or self.done_6h or self.failed_6h or self.done_1h or self.failed_1h)


@dataclass(frozen=True, slots=True)
class Request:
    """One row of the transfers pane: a request, or (`state` LINK) the totals of a link."""

    id: str
    state: str
    """Rucio's word, or LINK."""
    source_rse: str
    dest_rse: str
    scope: str = ""
    name: str = ""
    request_type: str = ""
    bytes: int | None = None
    activity: str | None = None
    account: str | None = None
    priority: int | None = None
    retry_count: int = 0
    err_msg: str | None = None
    rule_id: str | None = None
    external_id: str | None = None
    external_host: str | None = None
    transfertool: str | None = None
    dest_url: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    requested_at: datetime | None = None
    submitted_at: datetime | None = None
    started_at: datetime | None = None
    fts: FtsFile | None = None
    fts_problem: str = ""
    """Why FTS could not be asked, in one line."""
    totals: Totals | None = None

    @property
    def key(self) -> str:
        return self.id

    @property
    def is_link(self) -> bool:
        return self.state == "LINK"

    @property
    def since(self) -> datetime | None:
        """When it was asked for."""
        return self.requested_at or self.created_at
