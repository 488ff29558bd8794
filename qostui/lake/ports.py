"""Chooses the lake's ports once and for all, and says who holds one that is taken."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

from .inside import topology
from .inside.state import Facts

_LOWEST, _HIGHEST = 20000, 32000
"""Below Linux' ephemeral ports (32768-60999), so that no outgoing connection takes one by chance."""


def choose(facts: Facts) -> None:
    """Give `facts` a block of free ports: single ones first, then each GridFTP server's data range.

    Raises OSError when no free block is found.
    """
    names = topology.port_names()
    gridftp = [server.name for server in topology.SERVERS if server.software == "gridftp"]
    size = len(names) + topology.GRIDFTP_DATA_PORTS * len(gridftp)
    for _ in range(50):
        base = random.randrange(_LOWEST, _HIGHEST - size)  # noqa: S311  # no secret
        if all(is_free(port) for port in range(base, base + size)):
            break
    else:
        raise OSError(f"no {size} free ports in a row between {_LOWEST} and {_HIGHEST}")
    facts.ports = {name: base + place for place, name in enumerate(names)}
    data = base + len(names)
    facts.data_ports = {}
    for name in gridftp:
        facts.data_ports[name] = (data, data + topology.GRIDFTP_DATA_PORTS - 1)
        data += topology.GRIDFTP_DATA_PORTS


def is_free(port: int) -> bool:
    """Whether the port can be bound on loopback, over IPv4 and mapped IPv6 alike."""
    with socket.socket(socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def taken(facts: Facts) -> dict[str, str]:
    """Port name -> who holds it, for every single port of the lake that is not free."""
    return {name: f"port {port} is held by {holder(port)}" for name, port in facts.ports.items() if not is_free(port)}


def holder(port: int) -> str:
    """Who listens on a TCP port: `name (pid N)`, as far as this user may see (proc(5))."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(link) in inodes for link in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
        except OSError:
            continue
    return "a process of another user" if inodes else "an unknown process"
