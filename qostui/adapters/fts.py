"""Asking FTS for the state and the reason behind a request (FTS 3 REST, as Rucio's own transfertool asks)."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from ..domain.errors import Problem
from ..domain.profile import Profile, host_text, origin
from ..domain.request import FtsFile
from ..services.feeds import Cancel
from . import errors, own_files
from .http import OriginSession
from .rucio import moment
from .rucio_session import verification

FIELDS = "file_state,dest_surl,finish_time,start_time,reason,source_surl,file_metadata"
JOBS_IN_ONE_CALL = 40
Said = dict[tuple[str, str], FtsFile | str]
"""(job id, request id) -> the file as FTS sees it, or why it says nothing; (job id, "") speaks for the whole job."""
REST_S = 20.0
"""A server that failed is left alone for so long, or a hanging one would hold up every listing."""


class FtsClient:
    """One profile's sessions to FTS servers, with its certificate or proxy."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._sessions: dict[str, OriginSession] = {}
        self._resting: dict[str, tuple[float, Problem]] = {}

    def abort(self) -> None:
        """Break off a call under way."""
        for session in list(self._sessions.values()):
            session.abort()

    def files(self, address: str, jobs: Sequence[str], cancel: Cancel) -> Said:
        """What FTS says of the files of these jobs; raises Problem."""
        session = self._session(address)
        resting = self._resting.get(address)
        if resting is not None and time.monotonic() < resting[0]:
            raise resting[1]
        cancel.closes(session.abort)
        try:
            return self._ask(session, address, jobs)
        except Problem as problem:
            self._resting[address] = (time.monotonic() + REST_S, problem)
            raise

    def _ask(self, session: OriginSession, address: str, jobs: Sequence[str]) -> Said:
        found: Said = {}
        host = host_text(address)
        for start in range(0, len(jobs), JOBS_IN_ONE_CALL):
            url = f"{address.rstrip('/')}/jobs/{','.join(jobs[start : start + JOBS_IN_ONE_CALL])}"
            response = session.get(
                url,
                params={"files": FIELDS},
                headers={"Accept": "application/json"},
                cert=own_files.client_certificate(self._profile, "FTS not asked"),
            )
            try:
                answer = json.loads(response.content)
            except ValueError:
                answer = None
            documents = [each for each in (answer if isinstance(answer, list) else [answer]) if isinstance(each, dict) and "job_id" in each]
            # FTS answers 403, 404 or 207 with a document for each job; without one the whole call failed.
            if not documents and jobs:
                status = 502 if response.status_code in (200, 207) else response.status_code
                raise errors.from_status(status, response.headers, response.content[:4096], host, "FTS")
            for job in documents:
                found.update(_files_of(job))
        return found

    def _session(self, address: str) -> OriginSession:
        try:
            key = repr(origin(address))
        except ValueError as error:
            raise Problem(f"FTS not asked: {errors.safe_detail(error)}", step="check the RSE attribute fts") from error
        if key not in self._sessions:
            self._sessions[key] = OriginSession((address,), verification(self._profile), "FTS")
        return self._sessions[key]


def _files_of(job: dict[str, Any]) -> Said:
    job_id, state, status = str(job.get("job_id") or ""), str(job.get("job_state") or ""), str(job.get("http_status") or "")
    if not state:
        known = {"403": "FTS does not let this certificate see the job", "404": "FTS does not know this job any more"}
        return {(job_id, ""): known.get(status[:3], f"FTS says {errors.safe_detail(status)}" if status else "FTS says nothing of this job")}
    files = [each for each in job.get("files") or [] if isinstance(each, dict)]
    found: Said = {}
    for each in files:
        metadata = each.get("file_metadata")
        request = str(metadata.get("request_id") or "") if isinstance(metadata, dict) else ""
        said = FtsFile(
            job_state=state,
            file_state=str(each.get("file_state") or ""),
            reason=str(each.get("reason") or ""),
            started_at=moment(each.get("start_time")),
            finished_at=moment(each.get("finish_time")),
            source_surl=str(each.get("source_surl") or ""),
        )
        found[job_id, request] = said
        if len(files) == 1:
            found[job_id, ""] = said
    return found or {(job_id, ""): FtsFile(state)}
