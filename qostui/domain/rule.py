"""Replication rules: fields as Rucio names them, and what follows from the lock counters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

_BASE_URGENCY = {"STUCK": 200, "SUSPENDED": 150, "WAITING_APPROVAL": 140, "INJECT": 110, "REPLICATING": 100, "OK": 0}


@dataclass(frozen=True, slots=True)
class Rule:
    """One replication rule; texts are raw as Rucio keeps them (made safe where they are shown)."""

    id: str
    scope: str
    name: str
    did_type: str
    account: str
    state: str
    """Rucio's word: OK, REPLICATING, STUCK, SUSPENDED, WAITING_APPROVAL, INJECT."""
    rse_expression: str
    copies: int
    locks_ok_cnt: int = 0
    locks_replicating_cnt: int = 0
    locks_stuck_cnt: int = 0
    error: str | None = None
    bytes: int | None = None
    """Bytes of the DID, once (not times copies)."""
    length: int | None = None
    """Files of the DID."""
    activity: str | None = None
    priority: int | None = None
    comments: str | None = None
    source_replica_expression: str | None = None
    grouping: str | None = None
    locked: bool = False
    purge_replicas: bool = False
    created_at: datetime | None = None
    updated_at: datetime | None = None
    expires_at: datetime | None = None
    stuck_at: datetime | None = None
    child_rule_id: str | None = None
    subscription_id: str | None = None

    @property
    def key(self) -> str:
        return self.id

    @property
    def locks(self) -> int:
        """All locks of the rule: files times copies, once it is placed."""
        return self.locks_ok_cnt + self.locks_replicating_cnt + self.locks_stuck_cnt

    @property
    def fraction(self) -> float | None:
        """Share of the locks that are OK; None while there are no locks."""
        if self.locks:
            return self.locks_ok_cnt / self.locks
        return 1.0 if self.state == "OK" else None

    @property
    def complete_copies(self) -> int:
        """Copies that are certainly complete by the counters; with several copies a lower estimate."""
        if self.state == "OK":
            return self.copies
        return self.locks_ok_cnt * self.copies // self.locks if self.locks else 0

    @property
    def urgency(self) -> int:
        """Order of the Rucio WebUI: stuck locks, then replicating locks, then the state."""
        if self.locks_stuck_cnt > 0:
            return 1000 + self.locks_stuck_cnt
        if self.locks_replicating_cnt > 0 and self.state != "STUCK":
            return 500 + self.locks_replicating_cnt if self.state == "REPLICATING" else _BASE_URGENCY.get(self.state, 250)
        return 1000 if self.state == "STUCK" else _BASE_URGENCY.get(self.state, 250)
