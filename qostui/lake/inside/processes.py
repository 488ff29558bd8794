"""What proc(5) tells of processes: who is who for good, and who is whose child. Standard library only."""

from __future__ import annotations

import os
from pathlib import Path


def start_ticks(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot (field 22 of stat); None when it is gone or a zombie.

    Together with the pid it names one process for good, whatever happens to the number later.
    """
    fields = _fields(pid)
    return None if fields is None or fields[0] == "Z" else int(fields[19])


def session_members(leader: int) -> list[int]:
    """Pids of all processes in the session that `leader` leads (field 6 of stat)."""
    pids = [int(process.name) for process in Path("/proc").glob("[0-9]*")]
    return [pid for pid in pids if (fields := _fields(pid)) is not None and int(fields[3]) == leader]


def children(pid: int) -> list[int]:
    """Pids of the direct children of `pid`, zombies included."""
    return [int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()]


def faked_clock() -> dict[str, str]:
    """libfaketime's variables where this process runs under it, so that a whole lake can live at another time."""
    if "libfaketime" not in os.environ.get("LD_PRELOAD", ""):
        return {}
    return {name: value for name, value in os.environ.items() if name == "LD_PRELOAD" or name.startswith("FAKETIME")}


def _fields(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
