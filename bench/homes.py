"""Homes for measured consoles: a configuration, kept rows, a cached log-in; each below one temporary directory."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from qostui import config
from qostui.domain.profile import Profile
from qostui.domain.rse import Door, Rse
from qostui.services.snapshot import SnapshotDirectory

from .apps import rows
from .server import Server
from .terminal import environment

ACCOUNT = "ops"
KEPT_RULES = 2000
"""As many as a snapshot holds."""


def unreachable() -> str:
    """An address on which nothing listens: a connection is refused at once."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"https://localhost:{probe.getsockname()[1]}"


class Home:
    """One home directory and the environment of what runs in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.env = environment(directory)
        self._profiles: dict[str, dict[str, Any]] = {}

    def password_file(self, account: str = ACCOUNT) -> Path:
        """Where the account's pass word lies."""
        return self.directory / f"{account}.password"

    def add(self, name: str, address: str, server: Server | None = None, account: str = ACCOUNT) -> None:
        """Add a profile, the first one is the default; with a `server` its pass word and CA are put in place."""
        password = self.password_file(account)
        password.touch(mode=0o600)
        values: dict[str, Any] = {"rucio_host": address, "account": account, "auth": "userpass", "password_file": password}
        if server is not None:
            # Copies of our own: the console takes no secret that belongs to someone else.
            password.write_text(server.state.password_file(account).read_text())
            values["ca"] = self.directory / "ca.pem"
            shutil.copyfile(server.state.ca, values["ca"])
        self._profiles[name] = values
        directory = self.directory / "config" / "qostui"
        directory.mkdir(exist_ok=True, mode=0o700)
        config.write_profiles(directory / "config.toml", self._profiles, default_profile=next(iter(self._profiles)))

    def profile(self, name: str) -> Profile:
        """A profile as the console reads it."""
        return config.load(env=self.env).profile(name)

    def keep_rows(self, name: str) -> list[str]:
        """Leave the rows that a run before would have left; the names of the RSEs among them."""
        snapshots = SnapshotDirectory(self.directory / "state" / "qostui", self.profile(name))
        good_at = datetime.now(UTC) - timedelta(hours=1)
        made = rses()
        snapshots.save("rses", made, good_at)
        snapshots.save("rules", rows.rules(KEPT_RULES), good_at)
        return [rse.name for rse in made]

    def forget_rows(self) -> None:
        """No rows of a last run."""
        shutil.rmtree(self.directory / "state" / "qostui" / "last", ignore_errors=True)

    def log_in(self, console: Sequence[str], name: str) -> str:
        """Log in once, so that the token is cached; the token. Raises subprocess.CalledProcessError."""
        argv = [*console, "--profile", name, "rses", "-o", "tsv"]
        subprocess.run(argv, env=self.env, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, timeout=60)
        cached = next((self.directory / "runtime" / "qostui" / name).glob("token-*"))
        return str(json.loads(cached.read_text())["token"])


def rses(count: int = 40) -> list[Rse]:
    """RSEs as a community has them, each with three doors."""
    template = Rse("", "DISK", "CHEAP-ANALYSIS", True, True, True, 10**13, 10**14, 11 * 10**13, "storage", rows.NOW, 10**14, 120)
    made = []
    for number in range(count):
        doors = tuple(
            Door(scheme, f"se{number:02d}.example.org", 1094 + port, "/data", (1, 1, 1), (1, 1, 1), (1, 1))
            for port, scheme in enumerate(("davs", "root", "gsiftp"))
        )
        name = f"SITE-{number:02d}"
        made.append(replace(template, name=name, doors=doors, attributes=(("QOS", "CHEAP-ANALYSIS"), ("site", name))))
    return made
