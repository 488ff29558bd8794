"""Files that are put in place in one step, with their final mode from the first byte on."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write(path: Path, data: bytes | str, mode: int = 0o644) -> None:
    """Replace `path` by `data`: a reader sees the old file or the new one, and never a wider mode than `mode`.

    The directory must exist. Raises OSError.
    """
    content = data.encode() if isinstance(data, str) else data
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def directory(path: Path, mode: int = 0o755) -> Path:
    """`path` as a directory of exactly that mode, parents included; parents that are made are 0755."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    path.mkdir(mode=mode, exist_ok=True)
    os.chmod(path, mode)
    return path
