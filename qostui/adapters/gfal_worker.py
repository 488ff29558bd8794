"""gfal2 behind a pipe: one request a line on standard input, answers a line each on standard output, one request at a time.

Started by path under a Python that has gfal2, as `python -s -u gfal_worker.py PARENT_PID`; standard library and gfal2 only,
Python 3.9 or later. Who it is (proxy, token) is fixed by its environment at the start: gfal2 and XRootD keep what they read first.

    first      {"ready": PID, "gfal2": VERSION}      or {"unusable": WHY} and exit 3
    request    {"id": N, "op": NAME, "args": {...}}
    answers    {"id": N, "batch": [...]} any number of times, then
               {"id": N, "ok": RESULT}  or  {"id": N, "error": {"code": ERRNO, "name": NAME, "text": TEXT}}

It ends when its input ends, and is killed when its parent dies.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Loading these takes a tenth of the start, and nothing here needs them to run.
    from collections.abc import Callable
    from typing import Any, NoReturn

    Batch = Callable[[list[Any]], None]

BATCH = 1000
FIRST_BATCH = 100
"""The first names of a directory are worth seeing before the rest has come."""
NO_GFAL2 = 3
NOWHERE = "/nonexistent"
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4


def main() -> NoReturn:
    """Serve until the input ends; never returns, since gfal2's destructors can abort the process."""
    # C libraries print on standard output: from here on that is standard error, and only we know the pipe.
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    _tie_to_parent(int(sys.argv[1]))

    def send(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message, separators=(",", ":")) + "\n")
        answers.flush()

    try:
        import gfal2

        context = gfal2.creat_context()
        # It would show the proxy once and go on with a macaroon that the storage makes of it.
        context.set_opt_boolean("HTTP PLUGIN", "RETRIEVE_BEARER_TOKEN", False)
        _take_token(context)
    except Exception as error:
        send({"unusable": f"{type(error).__name__}: {error}"})
        os._exit(NO_GFAL2)
    send({"ready": os.getpid(), "gfal2": gfal2.get_version()})
    for line in sys.stdin:
        _serve(context, gfal2.GError, json.loads(line), send)
    os._exit(0)


def _take_token(context: Any) -> None:
    """Give gfal2 the token of $BEARER_TOKEN_FILE, which it does not read itself: XRootD's client does, for roots."""
    file = os.environ.get("BEARER_TOKEN_FILE")
    if file:
        with open(file, encoding="ascii") as content:
            context.set_opt_string("BEARER", "TOKEN", content.readline().strip())


def _offer_no_certificate(url: str) -> None:
    """Where no certificate is to be shown, name one for XRootD's TLS that says nothing, and none for everything else.

    Without $X509_USER_PROXY both take /tmp/x509up_u<uid>; XRootD's client fails when the file it names is missing.
    """
    nobody = os.environ.get("QOSTUI_NOBODY_CERTIFICATE")
    if nobody:
        os.environ["X509_USER_PROXY"] = nobody if url.startswith("root") else NOWHERE


def _serve(context: Any, gfal_error: type[Any], request: dict[str, Any], send: Callable[[dict[str, Any]], None]) -> None:
    number = request["id"]
    _offer_no_certificate(request["args"].get("url", ""))
    try:
        result = OPERATIONS[request["op"]](context, lambda rows: send({"id": number, "batch": rows}), **request["args"])
        send({"id": number, "ok": result})
    except gfal_error as error:
        name = errno.errorcode.get(error.code, "?")
        send({"id": number, "error": {"code": error.code, "name": name, "text": error.message}})
    except Exception as error:
        send({"id": number, "error": {"code": -1, "name": type(error).__name__, "text": str(error)}})


def _tie_to_parent(parent: int) -> None:
    """Die with the parent, and let no debugger of the same user look in: there are secrets in memory (prctl(2))."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if os.getppid() != parent:
        # It died before we were tied to it.
        os._exit(0)


def ping(context: Any, batch: Batch) -> str:
    """Whether it is there."""
    return "pong"


def stat(context: Any, batch: Batch, url: str) -> dict[str, int]:
    """Size in bytes, mode and times (epoch seconds) of one address."""
    found = context.stat(url)
    return {"size": found.st_size, "mode": found.st_mode, "mtime": int(found.st_mtime)}


def ls(context: Any, batch: Batch, url: str, limit: int = 0) -> int:
    """Batches of [name, size, mode, mtime] of a directory, at most `limit` (0: all); how many there were."""
    directory = context.opendir(url)
    rows: list[Any] = []
    count, wanted = 0, FIRST_BATCH
    while not limit or count < limit:
        entry, found = directory.readpp()
        if entry is None or not entry.d_name:
            break
        if entry.d_name in (".", ".."):
            continue
        rows.append([entry.d_name, found.st_size, found.st_mode, int(found.st_mtime)])
        count += 1
        if len(rows) >= wanted:
            batch(rows)
            rows, wanted = [], BATCH
    if rows:
        batch(rows)
    return count


OPERATIONS: dict[str, Callable[..., Any]] = {"ping": ping, "stat": stat, "ls": ls}

if __name__ == "__main__":
    main()
