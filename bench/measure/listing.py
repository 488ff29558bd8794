"""100,000 rules from a real Rucio into the table, beside curl and rucio-clients; keys while they stream in; memory after."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from qostui.domain import states

from ..figures import Figure, percentile
from ..fill_catalogue import RULES
from ..homes import Home, unreachable
from ..replay import Replay, name_at
from ..run import CONSOLE, Run, latencies, program
from ..terminal import Terminal
from ..waiting import Screen
from .keys import BARE, PATIENCE, SIGN

LIMIT = 180.0
GAP = 0.08
AFTER = 60.0
"""Seconds that the table may need after the feed has all rows."""
NAMED = "raw.2026."
"""In the name of each dataset of the catalogue."""
TOTAL = f"{RULES:,}"
EVERYTHING = {"QOSTUI_MAX_OK_RULES": str(2 * RULES)}
LETTERS = [kind.letter for kind in states.RULE.values()]


@dataclass
class _Listing:
    """One listing in the console."""

    seconds: float
    first_rows: float
    memory: float
    keys: list[float]


def listing(run: Run) -> Iterator[Figure]:
    """The whole listing, three ways."""
    home = run.home()
    home.add("away", unreachable())
    home.add("lake", run.server.address, run.server)
    home.add("plain", run.server.address, run.server, account="bob")
    token = home.log_in(CONSOLE, "lake")
    home.log_in(CONSOLE, "plain")
    plain, pressed, curl, clients = [], [], [], []
    for _ in range(run.repeat):
        plain.append(_console(home))
        curl.append(_curl(run, home, token))
        clients.append(_clients(run, home))
        pressed.append(_console(home, press=True))
    # An operator's console lists requests at the same time, from the same server; one who may not list them shows what that takes.
    alone = _console(home, profile=2)
    beside = {"curl": tuple(curl), "rucio-clients": tuple(clients), "console of one who may not list requests": (alone.seconds,)}
    yield Figure("listing", tuple(each.seconds for each in plain), beside)
    yield Figure("first-rows", tuple(each.first_rows for each in plain), note="from the key that switches to the profile")
    yield Figure("memory-rucio", tuple(each.memory for each in plain), note="RSS")
    for name, share in (("stream-p95", 0.95), ("stream-p99", 0.99)):
        values = tuple(percentile(each.keys, share) for each in pressed)
        yield Figure(name, values, {BARE: run.bare_key}, f"{len(pressed[0].keys)} keys")


def _console(home: Home, *, press: bool = False, profile: int = 1) -> _Listing:
    """Switch from a profile that leads nowhere, so that all is loaded and only the listing is timed.

    With `press`, Down is pressed until all rows are there. `profile` is the place in the configuration.
    """
    home.forget_rows()
    env: Mapping[str, str] = {**home.env, **EVERYTHING}
    with Terminal(CONSOLE, env) as terminal:
        terminal.wait_for("✖".encode(), 30)
        terminal.send("2")
        terminal.listen(1.0)
        terminal.send("ctrl+t")
        terminal.listen(0.5)
        for _ in range(profile):
            terminal.send("down")
            terminal.listen(0.3)
        asked = terminal.send("enter")
        sent: list[float] = []
        if press:
            terminal.wait_for(SIGN, LIMIT)
            sent = _press_until_all(terminal)
        Screen(terminal).wait(_all_there, LIMIT)
        first, done = _watched(terminal, asked)
        memory, _ = terminal.memory()
        keys = latencies(sent, _moved(terminal, sent), PATIENCE) if press else []
    return _Listing(done - asked, first - asked, memory, keys)


def _all_there(screen: Replay) -> bool:
    """The tab counts what the feed has, the table's own line what the table has."""
    return screen.text().count(TOTAL) >= 2


def _press_until_all(terminal: Terminal) -> list[float]:
    """Press Down until all rows are there; the moments."""
    sent = []
    screen = Screen(terminal)
    end = time.perf_counter() + LIMIT
    while time.perf_counter() < end and not _all_there(screen.now()):
        sent.append(terminal.send("down"))
        terminal.listen(GAP)
    return sent


def _watched(terminal: Terminal, asked: float) -> tuple[float, float]:
    """When the first rule and when all rules were in the table, which goes on until it is so; raises ValueError when it is not."""
    screen = Replay(terminal.size)
    first: float | None = None
    played = 0
    end = time.perf_counter() + AFTER
    while time.perf_counter() < end:
        new, played = terminal.chunks[played:], len(terminal.chunks)
        for at in screen.frames(new):
            if first is None and at > asked and NAMED in name_at(screen, screen.cursor_line()):
                first = at
            if first is not None and _all_there(screen):
                terminal.listen(1.0)
                return first, at
        terminal.listen(1.0)
    raise ValueError(f"the rules never were all in the table:\n{screen.text()}")


def _moved(terminal: Terminal, sent: list[float]) -> list[float | None]:
    """When each key had brought another row under the cursor than stood there when it was pressed."""
    moments: list[float | None] = [None] * len(sent)
    before: list[str] = []
    name, waiting = "", 0
    screen = Replay(terminal.size)
    for at in screen.frames(terminal.chunks):
        while len(before) < len(sent) and sent[len(before)] <= at:
            before.append(name)
        name = name_at(screen, screen.cursor_line())
        if waiting < len(before) and name and name != before[waiting]:
            moments[waiting] = at
            waiting += 1
    return moments


def _paths() -> list[str]:
    """What the console asks for: one stream for each state."""
    return [f"/rules/?state={letter}" for letter in LETTERS]


def _curl(run: Run, home: Home, token: str) -> float:
    """Seconds of one curl for the same answers over one connection; the token goes in by standard input."""
    lines = [f'header = "X-Rucio-Auth-Token: {token}"', f'cacert = "{home.directory / "ca.pem"}"', "silent", "show-error", "fail"]
    for path in _paths():
        lines += [f'url = "{run.server.address}{path}"', f'output = "{home.directory / "answer"}"']
    (home.directory / "answer").unlink(missing_ok=True)
    began = time.perf_counter()
    subprocess.run(["/usr/bin/curl", "-K", "-"], input="\n".join(lines), text=True, env=home.env, check=True, timeout=LIMIT)
    spent = time.perf_counter() - began
    return spent


def _clients(run: Run, home: Home) -> float:
    """Seconds of rucio-clients for the same, counted in its own process after import and log-in."""
    argv = program("apps.clients", run.server.address, str(home.directory / "ca.pem"), str(home.password_file()), str(RULES))
    done = subprocess.run(argv, env=home.env, check=True, capture_output=True, text=True, timeout=LIMIT)
    return float(done.stdout)
