"""The log text behind each file: what was done, with which events, in fts_url_copy's line form, secrets masked."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from .reasons import masked


class TransferLog:
    """One attempt's log file; `name` is its path below the log directory."""

    def __init__(self, directory: Path, file: Mapping[str, Any], now: float) -> None:
        pair = f"{_place(file['source_surl'])}__{_place(file['dest_surl'])}"
        day, minute = time.strftime("%Y-%m-%d", time.gmtime(now)), time.strftime("%Y-%m-%d-%H%M", time.gmtime(now))
        self.name = f"{day}/{pair}/{minute}__{pair}__{file['file_id']}__{file['job_id']}"
        path = directory / self.name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file: IO[str] = path.open("a", encoding="utf-8", errors="replace")  # closed by `close`

    def line(self, text: str, level: str = "INFO") -> None:
        """Add one line (more, if `text` has line ends)."""
        stamp = time.strftime("%a %b %d %H:%M:%S %Y", time.gmtime())
        for each in masked(text).splitlines():
            self._file.write(f"{level:<8}{stamp}; {each}\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read(directory: Path, name: str) -> str | None:
    """A log's text by its name, or None when it is gone or lies elsewhere."""
    path = (directory / name).resolve()
    if not path.is_relative_to(directory.resolve()) or not path.is_file():
        return None
    return path.read_text(encoding="utf-8", errors="replace")


def remove(directory: Path, name: str) -> None:
    """Remove a log and the directories that it leaves empty."""
    path = directory / name
    path.unlink(missing_ok=True)
    for parent in (path.parent, path.parent.parent):
        try:
            parent.rmdir()
        except OSError:
            return


def _place(url: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]", "_", urlsplit(url).netloc.rpartition("@")[2]) or "local"
