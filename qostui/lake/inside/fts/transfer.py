"""The program of a transfer child: one JSON request a line on stdin, JSON lines on stdout, gfal2 in between.

    request   {"id": 1, "op": "copy" | "stage" | "poll_stage" | "poll_archive", ...}
    answers   {"id": 1, "event": {...}}*  then  {"id": 1, "done": {...}}  or  {"id": 1, "failed": {"scope", "code", "text"}}

Its identity is its environment, fixed when it starts. It takes one request at a time; whoever started it kills its
process group to stop one, and it ends at once when its stdin closes, so no copy outlives the service. The steps of a
copy are those of fts_url_copy (fts3, url-copy/UrlCopyProcess.cpp), looked at one by one so that the scope of a failure
is the step that failed. Started by path: imports only the standard library and gfal2.
"""

from __future__ import annotations

import errno
import json
import os
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any

_BASE_TIMEOUT = 180
"""Seconds for a copy besides 2 s/MiB where the job gives none (FTS: 600; the few slots here are not to hang as long)."""
_EVERY = 1.0
"""Least seconds between two progress events."""
_NO_CHECKSUM = {errno.ENOSYS, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT}
_SIDES = ("SOURCE", "DESTINATION", "BOTH")
_ONLINE, _NEARLINE = "ONLINE", "NEARLINE"


class Failed(Exception):
    """A step that failed: scope, errno, text."""

    def __init__(self, scope: str, code: int, text: str) -> None:
        super().__init__(text)
        self.answer = {"scope": scope, "code": abs(code), "text": text}


class Child:
    """Answers requests with one gfal2 context."""

    def __init__(self, out: Any) -> None:
        import gfal2

        self._gfal2 = gfal2
        self._context = gfal2.creat_context()
        self._context.set_user_agent("qostui-fts-stand-in", "1")
        self._out = out
        self._lock = threading.Lock()
        self._id = 0
        self._event_at = 0.0

    def answer(self, request: dict[str, Any]) -> None:
        """Do what a request asks and send what came of it."""
        self._id = request["id"]
        try:
            done = getattr(self, f"do_{request['op']}")(request)
        except Failed as failure:
            self._send({"failed": failure.answer})
        except Exception as error:
            self._send({"failed": {"scope": "TRANSFER", "code": errno.EINVAL, "text": f"{type(error).__name__}: {error}"}})
        else:
            self._send({"done": done})

    def ready(self) -> None:
        """Say that requests are taken."""
        self._send({"ready": os.getpid(), "gfal2": self._gfal2.get_version()})

    def do_copy(self, request: dict[str, Any]) -> dict[str, Any]:
        """One transfer from the first look at the source to the last one at the destination."""
        source, destination = request["source"], request["destination"]
        self._take_tokens(request)
        algorithm, _, wanted = request["checksum"].partition(":")
        mode, strict = request["verify"], request["strict"]
        size = request["filesize"]
        if not strict:
            size = self._step("SOURCE", "Getting source file size", self._context.stat, source).st_size
            self._event(step="SOURCE", text=f"File size: {size}", filesize=size)
            self._make_room(request)
        timeout = request["timeout"] or _BASE_TIMEOUT + 2 * -(-size // (1 << 20))
        self._event(step="TRANSFER", text=f"Timeout set to: {timeout}", timeout=timeout)
        if not strict and mode in ("both", "source"):
            self._check_source(source, algorithm, wanted)
        started = time.monotonic()
        self._copy(request, algorithm, wanted, timeout)
        took = time.monotonic() - started
        if request.get("release"):
            self._release(source, request["release"])
        if not strict:
            found = self._step("DESTINATION", "Getting destination file size", self._context.stat, destination).st_size
            if found != size:
                raise Failed("DESTINATION", errno.EINVAL, "Source and destination file size mismatch")
        return {"filesize": size, "seconds": took}

    def do_stage(self, request: dict[str, Any]) -> dict[str, Any]:
        """Ask for a file from tape: `online` already, or a `token` to ask again with."""
        pin, timeout, url = request["pin"], request["timeout"], request["source"]
        hint = request.get("metadata")
        arguments = (url, json.dumps(hint), pin, timeout, True) if hint else (url, pin, timeout, True)
        state, token = self._step("STAGING", "Bringing online", self._context.bring_online, *arguments)
        return {"online": state > 0, "token": token}

    def do_poll_stage(self, request: dict[str, Any]) -> dict[str, Any]:
        """Whether a file has come from tape."""
        state = self._step("STAGING", "", self._context.bring_online_poll, request["source"], request["token"])
        return {"online": state > 0}

    def do_poll_archive(self, request: dict[str, Any]) -> dict[str, Any]:
        """Whether a file has arrived on tape."""
        return {"archived": self._step("ARCHIVING", "", self._context.archive_poll, request["destination"]) > 0}

    def _make_room(self, request: dict[str, Any]) -> None:
        """See that the destination may be written: it does not exist, or it may be replaced."""
        if request["overwrite"]:
            return
        destination = request["destination"]
        self._event(step="DESTINATION", text="Checking existence of destination file")
        try:
            self._context.stat(destination)
        except self._gfal2.GError as error:
            if abs(error.code) == errno.ENOENT:
                return
            raise Failed("DESTINATION", error.code, error.message) from error
        text = "Destination file exists and overwrite is not enabled"
        if request["overwrite_on_disk"]:
            locality = self._step(
                "DESTINATION", "Checking destination locality", self._context.getxattr, destination, "user.status"
            ).strip()
            if locality == _ONLINE:
                self._step("DESTINATION", "Removing the destination that is only on disk", self._context.unlink, destination)
                return
            text = "Destination file exists and is on tape (overwrite-when-only-on-disk requested)"
        if request["report"]:
            self._report(destination, request["checksum"].partition(":")[0])
        raise Failed("DESTINATION", errno.EEXIST, text)

    def _report(self, destination: str, algorithm: str) -> None:
        """Send what lies at the destination: Rucio decides by it whether an earlier attempt had worked after all."""
        try:
            status = self._context.getxattr(destination, "user.status").strip()
            found = {
                "file_size": self._context.stat(destination).st_size,
                "checksum_type": algorithm,
                "checksum_value": self._context.checksum(destination, algorithm),
                "file_on_disk": _ONLINE in status.split("_AND_") or status == _ONLINE,
                "file_on_tape": _NEARLINE in status,
            }
        except self._gfal2.GError as error:
            self._event(text=f"Failed to check integrity of destination tape file: {error.message}")
        else:
            self._event(text=f"Destination file report: {found}", dst_file=found)

    def _check_source(self, source: str, algorithm: str, wanted: str) -> None:
        self._event(text=f"Checking source {algorithm} checksum")
        try:
            found = self._context.checksum(source, algorithm)
        except self._gfal2.GError as error:
            if abs(error.code) in _NO_CHECKSUM:
                self._event(text=f"Checksum type {algorithm} not supported by source. Skip source check.")
                return
            raise Failed("TRANSFER", error.code, error.message) from error
        if wanted and found.lstrip("0").lower() != wanted.lstrip("0").lower():
            raise Failed("TRANSFER", errno.EIO, f"Source and user-defined {wanted} checksum do not match ({found} != {wanted})")

    def _copy(self, request: dict[str, Any], algorithm: str, wanted: str, timeout: int) -> None:
        parameters = self._context.transfer_parameters()
        parameters.timeout = timeout
        parameters.overwrite = request["overwrite"]
        parameters.create_parent = True
        parameters.strict_copy = request["strict"]
        if request["streams"]:
            parameters.nbstreams = request["streams"]
        if request["verify"] != "none":
            parameters.set_checksum(getattr(self._gfal2.checksum_mode, request["verify"]), algorithm, wanted)
        parameters.event_callback = self._on_event
        parameters.monitor_callback = self._on_progress
        # Between storages of one kind the bytes go directly, pulled, else pushed; any other pair is streamed through here.
        self._context.set_opt_boolean("HTTP PLUGIN", "ENABLE_REMOTE_COPY", request["third_party"])
        self._context.set_opt_string("HTTP PLUGIN", "DEFAULT_COPY_MODE", "3rd pull")
        self._context.set_opt_boolean("HTTP PLUGIN", "ENABLE_FALLBACK_TPC_COPY", True)
        self._event(step="TRANSFER", text=f"Starting transfer ({'third party' if request['third_party'] else 'streamed'})")
        self._step("TRANSFER", "", self._context.filecopy, parameters, request["source"], request["destination"])

    def _on_event(self, event: Any) -> None:
        side = _SIDES[int(event.side)] if int(event.side) < len(_SIDES) else event.side
        text = f"{side} {event.domain}\t{event.stage}\t{event.description}"
        kind = {"copy_type": event.description} if f"{event.stage}" == "TRANSFER:TYPE" else {}
        self._event(text=text, **kind)

    def _on_progress(self, source: str, destination: str, average: int, instant: int, transferred: int, elapsed: int) -> None:
        now = time.monotonic()
        if now - self._event_at >= _EVERY:
            self._event_at = now
            self._event(transferred=transferred, average=average)

    def _release(self, source: str, token: str) -> None:
        try:
            self._context.release(source, token)
        except self._gfal2.GError as error:
            self._event(text=f"RELEASE-PIN Failed to release source file: {error.message}")

    def _take_tokens(self, request: dict[str, Any]) -> None:
        """Bind each storage's token to that storage; the source's one also to the file itself, if both share a door."""
        for name in ("destination", "source"):
            file = request.get(f"{name}_token_file")
            if file:
                token = Path(file).read_text().strip()
                url = request[name]
                door = "/".join(url.split("/")[:3])
                shared = name == "source" and door == "/".join(request["destination"].split("/")[:3])
                self._context.cred_set(url if shared else door, self._context.cred_new("BEARER", token))

    def _step(self, scope: str, text: str, call: Any, *arguments: Any) -> Any:
        if text:
            self._event(step=scope, text=text)
        try:
            return call(*arguments)
        except self._gfal2.GError as error:
            raise Failed(scope, error.code, error.message) from error

    def _event(self, **event: Any) -> None:
        self._send({"event": event})

    def _send(self, message: dict[str, Any]) -> None:
        with self._lock:
            self._out.write(json.dumps({"id": self._id, **message}) + "\n")
            self._out.flush()


def main() -> None:
    """Serve stdin until it closes."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # C libraries print on stdout; only answers may get there
    requests: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            requests.put(line)
        os._exit(0)

    child = Child(out)
    child.ready()
    threading.Thread(target=read, daemon=True).start()
    while True:
        child.answer(json.loads(requests.get()))


if __name__ == "__main__":
    main()
