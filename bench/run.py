"""One run of the benchmark: where its files lie, how often things are repeated, and the yardsticks that figures share."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType

from . import dataset, replay
from .apps import bare
from .figures import percentile
from .homes import Home
from .server import Server
from .terminal import Terminal, environment

PYTHON = sys.executable
BIN = Path(sys.executable).parent
CONSOLE = (str(BIN / "qostui"),)
BARE_KEYS = 100
BARE_GAP = 0.03


def program(module: str, *arguments: str) -> list[str]:
    """How a program of the benchmark is started."""
    return [PYTHON, "-m", f"bench.{module}", *arguments]


class Run:
    """One run; as a context manager it stops what it started and removes its files."""

    def __init__(self, repeat: int, say: Callable[[str], None]) -> None:
        self.repeat = repeat
        self.say = say
        self._directory = Path(tempfile.mkdtemp(prefix="qostui-bench-"))
        self._server: Server | None = None
        self._homes = 0

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._server is not None:
            self._server.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def home(self) -> Home:
        """A new home."""
        self._homes += 1
        directory = self._directory / f"home{self._homes}"
        directory.mkdir(mode=0o700)
        return Home(directory)

    def env(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a program that needs no configuration."""
        return environment(self._directory / "plain", extra)

    @property
    def server(self) -> Server:
        """The Rucio server with the big catalogue, started when first asked for. Raises InstallError, LakeError."""
        if self._server is None:
            self._server = Server(dataset.prepared(self.say), self.say)
        return self._server

    @cached_property
    def bare_start(self) -> tuple[float, ...]:
        """Milliseconds from start to first paint of the bare app, of each repetition (twice as many: it is cheap)."""
        return tuple(self._bare_start() for _ in range(2 * self.repeat))

    def _bare_start(self) -> float:
        with Terminal(program("apps.bare"), self.env()) as terminal:
            terminal.wait_for(bare.READY.encode(), 30)
            terminal.settle(0.1)
            return first_paint(terminal, lambda screen: bare.READY in screen.text())

    @cached_property
    def bare_key(self) -> tuple[float, ...]:
        """p95 in milliseconds of the bare app's key to paint, of each repetition."""
        return tuple(percentile(self._bare_keys(), 0.95) for _ in range(self.repeat))

    def _bare_keys(self) -> list[float]:
        with Terminal(program("apps.bare"), self.env()) as terminal:
            terminal.wait_for(bare.READY.encode(), 30)
            terminal.settle(0.3)
            sent = []
            for count in range(1, BARE_KEYS + 1):
                sent.append(terminal.send("x"))
                terminal.wait_for(f"{count:05d}"[-1].encode(), 10)
                terminal.listen(BARE_GAP)
        screen = replay.Replay(terminal.size)
        frames = [(at, _counted(screen)) for at in screen.frames(terminal.chunks)]
        return latencies(sent, replay.key_moments(frames, sent, range(1, BARE_KEYS + 1)))


def _counted(screen: replay.Replay) -> int | None:
    line = screen.line(0).strip()
    return int(line.removeprefix("KEY-")) if line.startswith("KEY-") else None


def first_paint(terminal: Terminal, shows: Callable[[replay.Replay], bool]) -> float:
    """Milliseconds from the program's start to the frame that first shows what is wanted; raises ValueError when none does."""
    at = replay.first_moment(terminal.chunks, terminal.size, shows)
    if at is None:
        raise ValueError("what was waited for was never on the screen")
    return (at - terminal.started) * 1e3


def latencies(sent: list[float], moments: list[float | None], given_up: float | None = None) -> list[float]:
    """Milliseconds from each key to its effect.

    A key without effect counts as `given_up` seconds; raises ValueError where that is not given, or half of the keys had none.
    """
    lost = sum(moment is None for moment in moments)
    if lost and (given_up is None or 2 * lost > len(sent)):
        raise ValueError(f"{lost} of {len(sent)} keys had no effect on the screen")
    return [1e3 * (moment - at if moment is not None else given_up or 0.0) for at, moment in zip(sent, moments, strict=True)]
