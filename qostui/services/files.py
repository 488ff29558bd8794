"""Files that are replaced in one step: readers and the next run see the old text or the new one, never a part."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import NamedTemporaryFile


def replace(path: Path, text: str) -> None:
    """Write `text` (UTF-8, mode 0600) to a temporary name, sync it, rename it over `path`; raises OSError, leaving no trace."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}-", delete=False, encoding="utf-8") as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
