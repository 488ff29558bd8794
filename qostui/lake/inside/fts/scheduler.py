"""What runs when: takes files from the queue, gives them to children, and records what came of it.

One thread plans; each running operation has a thread that waits for its child. State changes go through
`Store.change`, which refuses to touch a file that was cancelled in the meantime. Standard library only.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import bans, logs, orders, shapes, states
from .credentials import Credentials, NoCredential
from .links import Links, Pace
from .reasons import ARCHIVING, ARCHIVING_TIMEOUT, STAGING, STAGING_TIMEOUT, TRANSFER, Failure
from .store import Store
from .submission import internal_param
from .workers import Pool, Worker

AT_A_TIME = 4
"""Children in all: each holds about 35 MB while it works."""
_STEP_SECONDS = 150.0
"""Longest look at a source or destination: a hanging davs door answers by itself after about 62 s."""
_GRACE_SECONDS = 60.0
_TAPE_SECONDS = 28800
_PLAN_EVERY = 1.0
_TIDY_EVERY = 10.0
_PRUNE_EVERY = 3600.0
_log = logging.getLogger(__name__)


@dataclass
class Operation:
    """Something a child is doing for a file."""

    file: Mapping[str, Any]
    kind: str
    worker: Worker
    timeout: float = _STEP_SECONDS
    step: str = ""

    def limit(self) -> float:
        """Seconds the step that is going on may take."""
        return self.timeout + _GRACE_SECONDS if self.step == TRANSFER else _STEP_SECONDS


class Scheduler:
    """The stand-in's queue. `start` and `stop` once each, `wake` whenever something may have changed."""

    def __init__(self, store: Store, pool: Pool, credentials: Credentials, link_table: Links, log_directory: Path, host: str) -> None:
        self._store = store
        self._pool = pool
        self._credentials = credentials
        self._links = link_table
        self._logs = log_directory
        self._host = host
        self._condition = threading.Condition()
        self._woken = False
        self._stopping = False
        self._running: dict[int, Operation] = {}
        self._last_start: dict[tuple[str, str], float] = {}
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Pick up what the last process left and begin."""
        back = self._store.recover()
        if back:
            _log.info("put back %d transfers that were active when the service ended", len(back))
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more and kill all children."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        self._pool.close()
        if self._thread:
            self._thread.join(2)

    def wake(self) -> None:
        """Plan again now."""
        with self._condition:
            self._woken = True
            self._condition.notify()

    def drop(self, file_ids: list[int]) -> None:
        """Kill what runs for files that were cancelled."""
        # Under the lock: a child that has been given back may already work for another file.
        with self._condition:
            for each in file_ids:
                if each in self._running:
                    self._running[each].worker.kill()

    def _run(self) -> None:
        tidied = pruned = 0.0
        while True:
            with self._condition:
                if not self._woken and not self._stopping:
                    self._condition.wait(_PLAN_EVERY)
                self._woken = False
                if self._stopping:
                    return
            try:
                self._plan()
                now = time.monotonic()
                if now - tidied > _TIDY_EVERY:
                    tidied = now
                    self._pool.tidy(current=self._credentials.current)
                if now - pruned > _PRUNE_EVERY:
                    pruned = now
                    self._prune()
            except Exception:
                _log.exception("planning failed; tried again in a moment")

    def _plan(self) -> None:
        now = time.time()
        self._expire(now)
        queue = self._store.waiting((states.SUBMITTED, states.STAGING, states.STARTED, states.ARCHIVING), due=now)
        if not queue:
            return
        banned = {ban["name"] for ban in self._store.bans("se")}
        with self._condition:
            running = dict(self._running)
        active = Counter(_link(each.file) for each in running.values() if each.kind == "copy")
        paces = self._paces()
        due = [file for file in queue if file["file_id"] not in running and not bans.holds(file, banned)]
        # Tape first (a question costs little), then the links with the least going on: one link cannot take all children.
        while due:
            file = min(
                due, key=lambda each: (each["file_state"] == states.SUBMITTED, active[_link(each)], -each["priority"], each["file_id"])
            )
            due.remove(file)
            copy, link = file["file_state"] == states.SUBMITTED, _link(file)
            if copy and not self._link_free(link, active[link], self._pace(file, paces), now):
                due = [each for each in due if _link(each) != link or each["file_state"] != states.SUBMITTED]
                continue
            began = self._begin(file)
            if began is None:
                return
            if began and copy:
                active[link] += 1
                self._last_start[link] = now

    def _link_free(self, link: tuple[str, str], active: int, pace: Pace, now: float) -> bool:
        return active < pace.active and (not pace.seconds or now - self._last_start.get(link, 0.0) >= pace.seconds)

    def _begin(self, file: Mapping[str, Any]) -> bool | None:
        """Start what is next for a file; False if there was nothing to start, None if no child is free."""
        state = file["file_state"]
        if state == states.SUBMITTED and file["source_surl"] == file["dest_surl"] and file["staging_finished"]:
            self._store.change(file["file_id"], (state,), file_state=states.FINISHED, finish_time=_now(), reason="")
            return False
        late = self._tape_deadline(file)
        if late is not None:
            self._fail(file, late, (state,))
            return False
        try:
            credential = self._credentials.of(file)
        except NoCredential as error:
            self._fail(file, Failure(TRANSFER, 13, str(error)), (state,))
            return False
        worker = self._pool.take(credential)
        if worker is None:
            return None
        kind = {states.SUBMITTED: "copy", states.STAGING: "stage", states.STARTED: "poll_stage", states.ARCHIVING: "poll_archive"}[state]
        operation = Operation(file, kind, worker)
        with self._condition:
            self._running[file["file_id"]] = operation
        threading.Thread(target=self._operate, args=(operation,), name=f"file-{file['file_id']}", daemon=True).start()
        return True

    def _operate(self, operation: Operation) -> None:
        try:
            if operation.kind == "copy":
                self._copy(operation)
            elif operation.kind == "poll_archive":
                self._poll_archive(operation)
            else:
                self._stage(operation)
        except Exception:
            _log.exception("file %s", operation.file["file_id"])
            self._fail(operation.file, Failure(TRANSFER, 22, "internal error of the stand-in, see its log"), states.FILE_OPEN)
        finally:
            with self._condition:
                self._running.pop(operation.file["file_id"], None)
            self._pool.give_back(operation.worker)
            self.wake()

    # -- copies ----------------------------------------------------------------------------------------------------

    def _copy(self, operation: Operation) -> None:
        file = operation.file
        log = logs.TransferLog(self._logs, file, time.time())
        try:
            began = self._store.change(
                file["file_id"], (states.SUBMITTED,), file_state=states.ACTIVE, start_time=_now(), finish_time=None, reason="",
                transfer_host=self._host, pid=operation.worker.pid, log_file=log.name, tx_duration=0.0, throughput=0.0, transferred=0,
            )  # fmt: skip
            if not began:
                return
            tokens = {name: str(path) for name, path in operation.worker.credential.token_files.items()}
            request = orders.copy(file, tokens, last=self._is_last(file))
            _introduce(log, file, request, operation.worker)
            started = time.monotonic()
            answer = operation.worker.run(request, limit=operation.limit, on_event=lambda event: self._on_event(operation, log, event))
            errors = operation.worker.errors()
            if errors:
                log.line(errors, "DEBUG")
            if isinstance(answer, Failure):
                self._copy_failed(file, answer, log, time.monotonic() - started)
            else:
                self._copy_done(file, answer, log)
        finally:
            log.close()

    def _on_event(self, operation: Operation, log: logs.TransferLog, event: Mapping[str, Any]) -> None:
        file_id = operation.file["file_id"]
        operation.step = event.get("step", operation.step)
        if "timeout" in event:
            operation.timeout = float(event["timeout"])
            streams = internal_param(operation.file["of_internal_job_params"], "nostreams") or "0"
            text = f"nostreams:{streams},timeout:{event['timeout']},buffersize:0"
            self._store.change(file_id, (states.ACTIVE,), internal_file_params=text)
        if "filesize" in event:
            self._store.change(file_id, (states.ACTIVE,), filesize=event["filesize"])
        if "dst_file" in event:
            metadata = operation.file["file_metadata"]
            if isinstance(metadata, dict) or metadata is None:
                self._store.change(file_id, (states.ACTIVE,), file_metadata={**(metadata or {}), "dst_file": event["dst_file"]})
        if "transferred" in event:
            self._store.progress(file_id, event["transferred"], round(event["average"] / (1 << 20), 3))
        if "text" in event:
            log.line(event["text"])

    def _copy_done(self, file: Mapping[str, Any], answer: Mapping[str, Any], log: logs.TransferLog) -> None:
        seconds, size = float(answer["seconds"]), int(answer["filesize"])
        log.line("Transfer finished successfully")
        columns: dict[str, Any] = {
            "filesize": size,
            "transferred": size,
            "tx_duration": round(seconds, 3),
            "throughput": round(size / seconds / (1 << 20), 3) if seconds > 0 else 0.0,
            "reason": "",
        }
        if file["of_archive_timeout"] > 0 and self._is_last(file):
            self._store.change(file["file_id"], (states.ACTIVE,), file_state=states.ARCHIVING, archive_start_time=_now(), **columns)
        else:
            self._store.change(file["file_id"], (states.ACTIVE,), file_state=states.FINISHED, finish_time=_now(), **columns)

    def _copy_failed(self, file: Mapping[str, Any], failure: Failure, log: logs.TransferLog, seconds: float) -> None:
        kind = "Recoverable" if failure.recoverable else "Non recoverable"
        log.line(f"{kind} error: [{failure.code}] {failure.text}", "ERR")
        again = failure.recoverable and file["retry"] < file["of_retry"]
        if again and self._store.try_again(file, failure.reason, log.name, self._host, time.time() + file["of_retry_delay"]):
            return
        self._fail(file, failure, (states.ACTIVE,), tx_duration=round(seconds, 3), throughput=0.0)
        self._store.change(file["file_id"], (states.CANCELED,), finish_time=_now())

    def _fail(self, file: Mapping[str, Any], failure: Failure, expected: Any, **columns: Any) -> None:
        self._store.change(
            file["file_id"], expected, file_state=states.FAILED, reason=failure.reason, recoverable=int(failure.recoverable),
            finish_time=_now(), **columns,
        )  # fmt: skip
        self.wake()

    def _is_last(self, file: Mapping[str, Any]) -> bool:
        return file["of_job_type"] != states.MULTIHOP or file["file_id"] == self._store.files_of(file["job_id"])[-1]["file_id"]

    # -- tape ------------------------------------------------------------------------------------------------------

    def _stage(self, operation: Operation) -> None:
        file, file_id = operation.file, operation.file["file_id"]
        first = operation.kind == "stage"
        request: dict[str, Any] = {"op": operation.kind, "source": file["source_surl"]}
        if first:
            pin, timeout = file["of_copy_pin_lifetime"], file["of_bring_online"]
            request |= {"pin": pin if pin > 0 else _TAPE_SECONDS, "timeout": timeout if timeout > 0 else _TAPE_SECONDS}
            request["metadata"] = file["staging_metadata"]
            self._store.change(file_id, (states.STAGING,), staging_start=_now(), staging_host=self._host)
        else:
            request["token"] = file["bringonline_token"] or ""
        answer = operation.worker.run(request, limit=operation.limit, on_event=lambda event: None)
        here = states.STAGING if first else states.STARTED
        if isinstance(answer, Failure):
            self._fail(file, Failure(STAGING, answer.code, answer.text), (here,))
            return
        token = {"bringonline_token": answer["token"]} if first else {}
        if answer["online"]:
            self._store.change(file_id, (here,), file_state=states.SUBMITTED, staging_finished=_now(), not_before=0, **token)
        elif first:
            self._store.change(file_id, (here,), file_state=states.STARTED, not_before=time.time() + 1, **token)
        else:
            self._store.change(file_id, (here,), not_before=time.time() + _poll_seconds(file["staging_start"]))

    def _poll_archive(self, operation: Operation) -> None:
        file = operation.file
        request = {"op": "poll_archive", "destination": file["dest_surl"]}
        answer = operation.worker.run(request, limit=operation.limit, on_event=lambda event: None)
        if isinstance(answer, Failure):
            self._fail(file, Failure(ARCHIVING, answer.code, answer.text), (states.ARCHIVING,))
        elif answer["archived"]:
            now = _now()
            self._store.change(
                file["file_id"], (states.ARCHIVING,), file_state=states.FINISHED, archive_finish_time=now, finish_time=now, reason=""
            )
        else:
            self._store.change(file["file_id"], (states.ARCHIVING,), not_before=time.time() + _poll_seconds(file["archive_start_time"]))

    def _tape_deadline(self, file: Mapping[str, Any]) -> Failure | None:
        """The failure of a file that tape keeps waiting longer than its job allows."""
        state = file["file_state"]
        if state == states.STARTED and file["staging_start"]:
            allowed = file["of_bring_online"] if file["of_bring_online"] > 0 else _TAPE_SECONDS
            if _age(file["staging_start"]) > allowed:
                return Failure(STAGING, 110, STAGING_TIMEOUT)
        if state == states.ARCHIVING and _age(file["archive_start_time"]) > file["of_archive_timeout"]:
            return Failure(ARCHIVING, 110, ARCHIVING_TIMEOUT)
        return None

    # -- housekeeping ----------------------------------------------------------------------------------------------

    def _expire(self, now: float) -> None:
        """Cancel jobs that waited longer than they wanted, and those on storages whose ban ran out of patience."""
        for job_id in self._store.overdue(now):
            self._store.cancel_files(job_id, None, states.QUEUED_TOO_LONG)
        for ban in self._store.bans("se"):
            if ban["wait_until"] and ban["wait_until"] < now:
                bans.cancel_waiting(self._store, ban["name"])

    def _paces(self) -> dict[tuple[str, str], int]:
        configured = self._store.settings("link").values()
        return {(each["source"], each["destination"]): int(each["max_active"]) for each in configured if each.get("max_active")}

    def _pace(self, file: Mapping[str, Any], configured: Mapping[tuple[str, str], int]) -> Pace:
        pace = self._links.pace(*_link(file))
        for names in (_link(file), (file["source_se"], file["dest_se"])):
            if names in configured:
                return Pace(min(configured[names], pace.active) if pace.seconds else configured[names], pace.seconds)
        return pace

    def _prune(self) -> None:
        for name in self._store.prune(time.time()):
            logs.remove(self._logs, name)
        self._credentials.forget_tokens(self._store.tokens_in_use())


def _introduce(log: logs.TransferLog, file: Mapping[str, Any], request: Mapping[str, Any], worker: Worker) -> None:
    log.line("Transfer accepted")
    credential = worker.credential
    lines = {
        "Proxy": credential.proxy or f"none ({credential.name})",
        "VO": file["vo_name"],
        "Job id": file["job_id"],
        "File id": file["file_id"],
        "Source url": file["source_surl"],
        "Dest url": file["dest_surl"],
        "Overwrite enabled": request["overwrite"],
        "Checksum": request["checksum"],
        "Checksum enabled": request["verify"],
        "User filesize": request["filesize"],
        "Retry": file["retry"],
        "Bringonline token": file["bringonline_token"] or "",
    }
    for name, value in lines.items():
        log.line(f"{name}: {value}")


def _link(file: Mapping[str, Any]) -> tuple[str, str]:
    return file["source_end"], file["dest_end"]


def _poll_seconds(since: str | None) -> float:
    """Often at first (dummy tapes are quick), then at most every half minute."""
    return min(30.0, max(1.0, _age(since) / 4))


def _age(since: str | None) -> float:
    if not since:
        return 0.0
    return time.time() - shapes.epoch(since)


def _now() -> str:
    return shapes.utc(time.time())
