"""States of FTS jobs and files, and the rules by which a job's state follows from its files' states.

Names and rules as in FTS 3.13 (model/job.py, model/file.py of its REST service). Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

SUBMITTED = "SUBMITTED"
READY = "READY"
ACTIVE = "ACTIVE"
STAGING = "STAGING"
STARTED = "STARTED"
ARCHIVING = "ARCHIVING"
ON_HOLD = "ON_HOLD"
ON_HOLD_STAGING = "ON_HOLD_STAGING"
NOT_USED = "NOT_USED"
FINISHED = "FINISHED"
FAILED = "FAILED"
CANCELED = "CANCELED"
FINISHEDDIRTY = "FINISHEDDIRTY"

FILE_FINAL = frozenset({FINISHED, FAILED, CANCELED, NOT_USED})
FILE_OPEN = frozenset({SUBMITTED, READY, ACTIVE, STAGING, STARTED, ARCHIVING, ON_HOLD, ON_HOLD_STAGING})
FILE_STATES = FILE_FINAL | FILE_OPEN
JOB_FINAL = frozenset({FINISHED, FAILED, CANCELED, FINISHEDDIRTY})
JOB_OPEN = frozenset({SUBMITTED, READY, ACTIVE, STAGING, ARCHIVING})

NORMAL, REUSE, MULTIHOP, REPLICAS = "N", "Y", "H", "R"
"""Job types: independent files, one session for all, hops of one path, several sources of one file."""

SOME_FAILED = "One or more files failed. Please have a look at the details for more information"
CANCELED_BY_USER = "Job canceled by the user"
QUEUED_TOO_LONG = "Job has been canceled because it stayed in the queue for too long"


def job_state(job_type: str, before: str, files: Sequence[str]) -> str:
    """The state of a job whose files are in the states `files`, in the order of its hops; `before` is its last one."""
    open_states = {state for state in files if state in FILE_OPEN}
    if open_states:
        return _open_job_state(before, open_states)
    used = {state for state in files if state != NOT_USED}
    if job_type == REPLICAS and FINISHED in used:
        return FINISHED
    if job_type == MULTIHOP and NOT_USED in files:
        return CANCELED if CANCELED in used else FAILED
    if used <= {FINISHED} and used:
        return FINISHED
    if used <= {CANCELED}:
        return CANCELED
    return FINISHEDDIRTY if FINISHED in used else FAILED


def _open_job_state(before: str, states: set[str]) -> str:
    if ACTIVE in states or READY in states:
        return ACTIVE
    if states == {ARCHIVING}:
        return ARCHIVING
    if states & {SUBMITTED, ON_HOLD}:
        return ACTIVE if before == ACTIVE else SUBMITTED
    if states & {STAGING, STARTED, ON_HOLD_STAGING}:
        return STAGING
    return before


def job_reason(state: str) -> str | None:
    """What FTS writes as the reason of a job in `state`; its files hold the real texts."""
    if state in (FAILED, FINISHEDDIRTY):
        return SOME_FAILED
    if state == CANCELED:
        return CANCELED_BY_USER
    return "" if state == FINISHED else None


def next_in_line(job_type: str, files: Sequence[Mapping[str, object]]) -> int | None:
    """The file (its `file_id`) that a final file of a multi-hop or multi-source job lets start, if any.

    A hop starts when the one before it finished; the next source when the one before it failed. `files` are in the
    order in which they are to be used.
    """
    if job_type not in (MULTIHOP, REPLICAS):
        return None
    if any(file["file_state"] in FILE_OPEN for file in files):
        return None
    done = [file for file in files if file["file_state"] != NOT_USED]
    waiting = [file for file in files if file["file_state"] == NOT_USED]
    if not waiting or any(file["file_state"] == CANCELED for file in done):
        return None
    finished = [file["file_state"] == FINISHED for file in done]
    ready = all(finished) if job_type == MULTIHOP else not any(finished)
    return int(str(waiting[0]["file_id"])) if ready else None
