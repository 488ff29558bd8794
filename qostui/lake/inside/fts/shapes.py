"""What jobs and files look like in answers: exactly the keys that FTS 3.13.3 was seen to send (schema 9.1.0).

Times are UTC without a zone, sizes bytes, `throughput` MiB/s, `tx_duration` seconds. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from .reasons import masked

Row = Mapping[str, Any]

JOB_FIELDS = (
    "job_id", "job_state", "job_type", "job_metadata", "job_finished", "reason", "submit_time", "submit_host", "user_dn", "vo_name",
    "cred_id", "source_se", "dest_se", "priority", "retry", "retry_delay", "overwrite_flag", "verify_checksum", "bring_online",
    "copy_pin_lifetime", "archive_timeout", "dst_file_report", "cancel_job", "max_time_in_queue", "internal_job_params",
    "source_spacetoken", "destination_spacetoken", "target_qos", "os_project_id",
)  # fmt: skip
FILE_FIELDS = (
    "file_id", "job_id", "file_index", "file_state", "file_state_initial", "source_surl", "dest_surl", "source_se", "dest_se",
    "dest_surl_uuid", "reason", "recoverable", "retry", "priority", "activity", "vo_name", "checksum", "filesize", "user_filesize",
    "start_time", "finish_time", "staging_start", "staging_finished", "staging_host", "bringonline_token", "archive_start_time",
    "archive_finish_time", "throughput", "tx_duration", "transfer_host", "pid", "log_file", "log_debug", "hashed_id",
    "selection_strategy", "internal_file_params", "file_metadata", "staging_metadata", "archive_metadata", "src_token_id",
    "dst_token_id", "scitag",
)  # fmt: skip
MORE_FILE_FIELDS = ("transferred",)
"""Bytes so far: a column of FTS that its answers leave out unless it is asked for by name."""
_RETRY_FIELDS = ("attempt", "datetime", "reason", "transfer_host", "log_file", "file_id")
_FLAGS = frozenset({"cancel_job", "dst_file_report", "recoverable"})
_URLS = frozenset({"source_surl", "dest_surl"})


def utc(seconds: float) -> str:
    """An epoch time as FTS writes it: UTC, no zone."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def epoch(text: str) -> float:
    """The epoch time of a text that `utc` wrote."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC).timestamp()


def job(row: Row, fields: Iterable[str] = JOB_FIELDS) -> dict[str, Any]:
    """A job as FTS shows it; fields it does not know are left out."""
    return {name: _value(row, name) for name in fields if name in JOB_FIELDS}


def file(row: Row, fields: Iterable[str] = FILE_FIELDS) -> dict[str, Any]:
    """A file as FTS shows it; fields it does not know are left out."""
    return {name: _value(row, name) for name in fields if name in FILE_FIELDS or name in MORE_FILE_FIELDS}


def retry(row: Row, of: Row) -> dict[str, Any]:
    """One earlier attempt of the file `of`."""
    return {**{name: row[name] for name in _RETRY_FIELDS}, "file": file(of)}


def not_found(job_id: str) -> dict[str, str]:
    """The answer for a job nobody knows."""
    return {"job_id": job_id, "http_status": "404 Not Found", "http_message": f'No job with the id "{job_id}" has been found'}


def forbidden(job_id: str) -> dict[str, str]:
    """The answer for somebody else's job."""
    return {"job_id": job_id, "http_status": "403 Forbidden", "http_message": f'Not enough permissions to check the job "{job_id}"'}


def many(statuses: list[dict[str, Any]], *, asked: int) -> tuple[Any, int]:
    """Answer and status of a question about `asked` jobs: one gives an object, several a list; a miss among them 207."""
    if asked == 1:
        only = statuses[0]
        code = int(str(only.get("http_status", "200")).split()[0])
        return only, 200 if code == 304 else code
    bad = any(not str(each.get("http_status", "")).startswith(("2", "304")) for each in statuses)
    return statuses, 207 if bad else 200


def _value(row: Row, name: str) -> Any:
    value = row[name]
    if name in _FLAGS:
        return bool(value)
    return masked(value) if name in _URLS else value
