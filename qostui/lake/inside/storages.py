"""The storage servers of the lake: their configuration on disk and the commands that run them."""

from __future__ import annotations

import base64
import json
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from . import atomic, gridftp_conf, keycache, register, topology, xrootd_conf
from .state import Facts, State

XROOTD = "/usr/bin/xrootd"
GRIDFTP = "/usr/sbin/globus-gridftp-server"
SOCKET_PATH_LIMIT = 107
"""Bytes of a UNIX socket's path on Linux, without the final zero (unix(7))."""
_LONGEST_SOCKET = ".xrootd/admin"


class StorageError(RuntimeError):
    """A storage cannot be set up; the message says why and what to do."""


@dataclass(frozen=True)
class Command:
    """How one storage server is run."""

    service: str
    argv: list[str]
    env: dict[str, str]
    """Besides what every service gets."""
    sockets: tuple[str, ...]
    """Names of the ports to bind beforehand and hand over from fd 3 on, in this order; empty: binds itself."""
    ready: str
    """`log:TEXT` once the log of this start holds TEXT, or `tcp:PORT NAME` once that port answers."""


def configure(state: State, facts: Facts) -> None:
    """Write everything the storage servers read; macaroon keys that exist are kept. Raises StorageError, OSError."""
    if any(character in str(state.root) for character in " \t\n,'\""):
        raise StorageError(f"Storage servers cannot read the path {state.root}; choose a state directory without spaces, commas or quotes.")
    _configure_admin(state, facts)
    for server in topology.SERVERS:
        for rse in topology.RSES:
            if server.name in (door for _, door in rse.doors):
                (state.data(server) / rse.prefix.lstrip("/")).mkdir(parents=True, exist_ok=True)
        state.home(server.name).mkdir(mode=0o700, parents=True, exist_ok=True)
        if server.software == "xrootd":
            _configure_xrootd(state, facts, server)
        else:
            _configure_gridftp(state, facts, server)


def commands(state: State, facts: Facts) -> list[Command]:
    """One command for each storage server, in the order of the topology."""
    return [_xrootd(state, facts, server) if server.software == "xrootd" else _gridftp(state, facts, server) for server in topology.SERVERS]


def leftovers(state: State, facts: Facts) -> list[Path]:
    """What may lie outside the state directory once all storages have ended; the supervisor removes it."""
    admin = admin_directory(state, facts)
    return [] if admin.is_relative_to(state.root) else [admin]


def admin_directory(state: State, facts: Facts) -> Path:
    """Where XRootD keeps its UNIX sockets: in the state, or /tmp/ql-ID where the state's path is too long for a socket."""
    inside = state.run / "xrd"
    longest = max((xrootd_conf.instance(facts, server) for server in topology.SERVERS), key=len)
    fits = len(os.fsencode(inside / longest / _LONGEST_SOCKET)) <= SOCKET_PATH_LIMIT
    # S108: the directory is ours alone and checked to be before it is used.
    return inside if fits else Path("/tmp") / f"ql-{facts.id}"  # noqa: S108


def _configure_admin(state: State, facts: Facts) -> None:
    admin = admin_directory(state, facts)
    if admin.is_relative_to(state.root):
        atomic.directory(admin, 0o700)
        return
    # A directory in /tmp that somebody else put there would hand them the servers' sockets.
    admin.mkdir(mode=0o700, exist_ok=True)
    found = admin.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise StorageError(f"{admin} is in the way and belongs to somebody else; remove it, or choose a shorter state directory.")


def _configure_xrootd(state: State, facts: Facts, server: topology.Server) -> None:
    own = atomic.directory(xrootd_conf.directory(state, server), 0o700)
    atomic.write(own / "xrootd.cfg", xrootd_conf.render(state, facts, server, admin_directory(state, facts)), 0o600)
    atomic.write(own / "grid-mapfile", xrootd_conf.grid_mapfile(), 0o600)
    atomic.write(own / "authdb", xrootd_conf.authdb(server), 0o600)
    if server.tokens:
        atomic.write(own / "scitokens.cfg", xrootd_conf.scitokens(facts, server), 0o600)
    key = own / "macaroon.key"
    if server.macaroons and not key.exists():
        made = base64.encodebytes(secrets.token_bytes(64))
        register.note(state, *made.decode().split())
        atomic.write(key, made, 0o400)
    if server.tape:
        document = state.data(server) / xrootd_conf.TAPE_DOCUMENT.lstrip("/")
        document.parent.mkdir(exist_ok=True)
        atomic.write(document, json.dumps(xrootd_conf.tape_document(facts, server)))
        atomic.write(own / "stage", xrootd_conf.stage_program(state), 0o700)


def _configure_gridftp(state: State, facts: Facts, server: topology.Server) -> None:
    own = atomic.directory(gridftp_conf.directory(state, server), 0o700)
    atomic.write(own / "gridftp.conf", gridftp_conf.render(state, facts, server), 0o600)
    atomic.write(own / "grid-mapfile", gridftp_conf.grid_mapfile(facts), 0o600)


def _xrootd(state: State, facts: Facts, server: topology.Server) -> Command:
    instance = xrootd_conf.instance(facts, server)
    configuration = xrootd_conf.directory(state, server) / "xrootd.cfg"
    # XRootD writes its .env file beside the pid file, and to /tmp without one.
    pid_file = state.home(server.name) / "xrootd.pid"
    return Command(
        service=server.name,
        argv=[XROOTD, "-c", str(configuration), "-n", instance, "-s", str(pid_file)],
        env={
            "X509_CERT_DIR": str(state.certificates),
            "X509_VOMS_DIR": str(state.vomsdir),
            "XDG_CACHE_HOME": str(keycache.cache_home(state, server)),
            # The xrdcp of a third-party copy is sent to 127.0.0.1, the certificates say localhost.
            "XrdSecGSISRVNAMES": topology.HOST,
        },
        sockets=server.port_names,
        # XRootD names its last port there; the same line ends in `failed.` when it gives up.
        ready=f"log::{facts.ports[server.port_names[-1]]} initialization completed.",
    )


def _gridftp(state: State, facts: Facts, server: topology.Server) -> Command:
    return Command(
        service=server.name,
        argv=[GRIDFTP, "-c", str(gridftp_conf.directory(state, server) / "gridftp.conf")],
        env=gridftp_conf.environment(state, facts, server),
        sockets=(),
        ready=f"tcp:{server.port_name('gsiftp')}",
    )
