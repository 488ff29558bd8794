"""What happens when the program itself fails: a report without local values, one line to the user, exit code 70."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import sys
import threading
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from ..domain.text import clean

EXIT = 70
"""EX_SOFTWARE of sysexits(3); never 0 on a crash."""
KEPT = 10
"""Reports that stay; older ones go."""

_SECRETS = (
    re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*"),
    re.compile(r"-----BEGIN [^-]*PRIVATE KEY-----.*?(?:-----END [^-]*-----|\Z)", re.DOTALL),
    re.compile(r"(?i)(?<=\b)(pass ?word|passwd|secret|token|authorization|x-rucio-auth-token)(['\"]?\s*[:=]\s*)(?:bearer\s+)?[^\s,;)]+"),
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
    re.compile(r"[A-Za-z0-9+/_-]{64,}"),
)


def without_secrets(text: str) -> str:
    """`text` with what looks like a token, a key or a pass word taken out."""
    for pattern in _SECRETS:
        text = pattern.sub(lambda match: f"{match[1]}{match[2]}…" if match.re.groups >= 2 else "…", text)
    return text


def report(error: BaseException, directory: Path, where: str = "main") -> Path | None:
    """Write what happened to a new file (0600) in `directory`; None when it cannot be written."""
    lines = [
        f"qostui {_version('qostui')} stopped by an error of its own at {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} in {where}",
        f"python {platform.python_version()}, textual {_version('textual')}, rich {_version('rich')}, {platform.platform()}",
        "No local values are in here; what looks like a secret was taken out of the messages. Look before you pass it on.",
        "",
        *(line.rstrip("\n") for line in traceback.format_exception(error)),
    ]
    name = f"crash-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{os.getpid()}"
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path, descriptor = _new_file(directory, name)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(without_secrets("\n".join(lines)) + "\n")
    except OSError:
        return None
    with contextlib.suppress(OSError):
        for old in sorted(directory.glob("crash-*.txt"))[:-KEPT]:
            old.unlink(missing_ok=True)  # another console clears up as well
    return path


def _new_file(directory: Path, name: str) -> tuple[Path, int]:
    """A file that nobody else writes: two threads may fail in one moment, and process numbers are equal across containers."""
    for number in range(KEPT * 10):
        path = directory / (f"{name}-{number}.txt" if number else f"{name}.txt")
        with contextlib.suppress(FileExistsError):
            return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    raise FileExistsError(directory / name)


def sentence(error: BaseException, path: Path | None) -> str:
    """The one line for the user."""
    kind = type(error).__name__
    if path is None:
        return f"qostui: stopped by an error of its own ({kind}); the report could not be written"
    return f"qostui: stopped by an error of its own ({kind}); report it with {clean(path)}"


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "from a checkout"


class CrashHandler:
    """Catches what nobody caught, in the main thread and in all others, while the console runs."""

    def __init__(self, directory: Path, tell: Callable[[BaseException, Path | None], None] | None = None) -> None:
        self.directory = directory
        self.tell = tell
        """Called from the thread that failed."""
        self._previous = (sys.excepthook, threading.excepthook)

    def __enter__(self) -> CrashHandler:
        sys.excepthook = self._main
        threading.excepthook = self._thread
        return self

    def __exit__(self, *_: object) -> None:
        sys.excepthook, threading.excepthook = self._previous

    def _main(self, kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
        print(sentence(error, report(error, self.directory)), file=sys.__stderr__)
        os._exit(EXIT)

    def _thread(self, failed: threading.ExceptHookArgs) -> None:
        if failed.exc_value is None or isinstance(failed.exc_value, SystemExit):
            return
        path = report(failed.exc_value, self.directory, f"thread {failed.thread.name if failed.thread else '?'}")
        if self.tell is not None:
            self.tell(failed.exc_value, path)
