"""The parts of the stand-in put together: what the REST interface asks and the main program starts."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from .. import topology
from ..state import Facts, State
from .credentials import Credentials
from .delegation import Delegation
from .identity import Bearers
from .links import Links
from .scheduler import AT_A_TIME, Scheduler
from .store import Store
from .workers import Credential, Pool, environment


class Service:
    """Everything behind the REST interface. `open` it in the process that serves (after a fork), `close` it once."""

    store: Store
    scheduler: Scheduler

    def __init__(self, state: State, facts: Facts, *, allow_local: bool = False) -> None:
        self.state = state
        self.facts = facts
        self.allow_local = allow_local
        self.host = socket.gethostname()
        self.log_directory: Path = state.fts / "logs"
        self.links = Links(state, facts)
        self.credentials = Credentials(state)
        self.delegation = Delegation(self.credentials, state.ca)
        self.bearers = Bearers(state, facts)
        self.pool = Pool(AT_A_TIME, self._environment)

    def open(self) -> None:
        """Open the database and start the scheduler."""
        self.log_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.store = Store(self.state.fts / "fts.db")
        self.scheduler = Scheduler(self.store, self.pool, self.credentials, self.links, self.log_directory, self.host)
        self.scheduler.start()

    def close(self) -> None:
        """Stop the scheduler, kill its children, close the database."""
        self.scheduler.stop()
        self.store.close()

    def _environment(self, credential: Credential) -> dict[str, str]:
        home = self.state.home("fts")
        for each in ("tmp", "cache", "config", "runtime"):
            os.makedirs(home / each, mode=0o700, exist_ok=True)
        return environment(credential, certificates=self.state.certificates, home=home, server_name=topology.HOST)
