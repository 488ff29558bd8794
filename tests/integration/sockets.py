"""What proc(5) says of listening sockets and of processes: the tests' own eyes, apart from the product's."""

from __future__ import annotations

import os
from pathlib import Path

_LISTEN = "0A"
_UDP_UNCONNECTED = "07"


def descendants(pid: int) -> set[int]:
    """`pid` and every process below it."""
    found = {pid}
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found |= descendants(int(child))
    return found


def listeners(pids: set[int]) -> set[tuple[str, str, int]]:
    """(protocol, address in hexadecimal, port) of every socket these processes listen or receive on."""
    inodes = set()
    for pid in pids:
        try:
            for link in Path(f"/proc/{pid}/fd").iterdir():
                target = os.readlink(link)
                if target.startswith("socket:["):
                    inodes.add(target[8:-1])
        except OSError:
            continue
    found = set()
    for protocol, state in (("tcp", _LISTEN), ("tcp6", _LISTEN), ("udp", _UDP_UNCONNECTED), ("udp6", _UDP_UNCONNECTED)):
        for line in Path(f"/proc/net/{protocol}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == state and fields[9] in inodes:
                address, _, port = fields[1].partition(":")
                found.add((protocol, address, int(port, 16)))
    return found


def is_loopback(address: str) -> bool:
    """Whether an address of /proc/net is 127.0.0.0/8, ::1 or a mapped 127.0.0.0/8 (little-endian words)."""
    if len(address) == 8:
        return address.endswith("7F")
    return address in ("00000000000000000000000001000000",) or (address.startswith("0000000000000000FFFF0000") and address.endswith("7F"))


def speaking_of(text: str) -> set[int]:
    """Pids of processes whose command line or working directory names `text`."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            said = (process / "cmdline").read_bytes().decode("utf-8", "replace") + os.readlink(process / "cwd")
        except OSError:
            continue
        if text in said and int(process.name) != os.getpid():
            found.add(int(process.name))
    return found
