"""Rucio in a thread of the console, or in a child process? `python -m bench.access` measures both on the rules listing.

While 100,000 rules come from a server on this machine (bench.rule_stream), a loop in the main thread wakes each 10 ms, as
keys and paints do, and notes how late it is; ten times a second it takes the changes out of the store. The child process
reads and decodes as the console does, and sends batches through a pipe, either pickled rows or Rucio's own JSON lines.
Last of all the server falls silent: how long until the reader has given up?
"""

from __future__ import annotations

import argparse
import json
import pickle
import resource
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO

from bench import rule_stream
from qostui.adapters.backend import RucioBackend
from qostui.adapters.rucio_rules import rule
from qostui.config import Settings
from qostui.domain.construct import quick
from qostui.domain.errors import ConnectionProblem
from qostui.domain.profile import Profile
from qostui.domain.rule import Rule
from qostui.services.feeds import Cancel
from qostui.services.lanes import Lane
from qostui.services.polling import YIELD_S
from qostui.services.store import Store

WAKE_S = 0.01
_LENGTH = struct.Struct(">I")
_values = attrgetter(*(each.name for each in fields(Rule)))
_new = quick(Rule)


def backend(place: Path, address: str, ca: Path, rows: int) -> RucioBackend:
    """The console's own way to that server."""
    password = place / "password"
    password.write_text("bench\n")
    password.chmod(0o600)
    settings = Settings(state_dir=place / "state", runtime_dir=place / "run", max_ok_rules=rows)
    return RucioBackend(Profile("bench", address, "ops", "userpass", password_file=password, ca=ca), settings)


class ChildSource:
    """The same Source, with Rucio in a process of its own that lives as long as this does."""

    def __init__(self, place: Path, address: str, ca: Path, rows: int, wire: str) -> None:
        command = [sys.executable, "-m", "bench.access", "--child", wire, str(place), address, str(ca), str(rows)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._wire = wire

    def _frames(self) -> Iterator[bytes]:
        pipes = self.process.stdin, self.process.stdout
        if pipes[0] is None or pipes[1] is None:
            raise RuntimeError("the child has no pipes")
        pipes[0].write(b"full\n")
        pipes[0].flush()
        while head := pipes[1].read(_LENGTH.size):
            length = _LENGTH.unpack(head)[0]
            if not length:
                return
            yield pipes[1].read(length)
        raise ConnectionProblem("the child ended")

    def full(self, cancel: Cancel) -> Iterator[Sequence[Rule]]:
        """All rules; raises ConnectionProblem when the child was killed."""
        cancel.closes(self.process.kill)
        for frame in self._frames():
            if self._wire == "pickle":
                yield [_new(*values) for values in pickle.loads(frame)]  # noqa: S301 -- our own child wrote it
            else:
                yield [rule(json.loads(line)) for line in frame.split(b"\n")]

    def since(self, moment: datetime, cancel: Cancel) -> None:
        """Not needed here."""
        return None


def child(wire: str, place: str, address: str, ca: str, rows: str) -> None:
    """The child's life: a listing for each line on the standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source = backend(Path(place), address, Path(ca), int(rows)).source("rules")
    out = sys.stdout.buffer
    for _ in sys.stdin:
        for batch in (
            _json_batches(source) if wire == "json" else (pickle.dumps([_values(row) for row in b], 5) for b in source.full(Lane("c")))
        ):
            _send(out, batch)
        _send(out, b"")


def _json_batches(source: Any) -> Iterator[bytes]:
    # The real source decodes as well, to know errors from rows; here only the lines go on.
    connection = source._deferred.real("rules")._connection
    for letter in rule_stream.SHARES:
        with_response = connection._get("rules/", {"state": letter}, Lane("c"))
        lines: list[bytes] = []
        for line in connection._lines(with_response, "bench", Lane("c")):
            lines.append(line)
            if len(lines) >= 250:
                yield b"\n".join(lines)
                lines = []
        if lines:
            yield b"\n".join(lines)


def _send(out: BinaryIO, frame: bytes) -> None:
    out.write(_LENGTH.pack(len(frame)) + frame)
    out.flush()


def cpu_of(process: subprocess.Popen[bytes]) -> float:
    """Seconds of CPU that a living child has used."""
    times = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(times[11]) + int(times[12])) / 100


class Late:
    """How late a loop in the main thread wakes."""

    def __init__(self) -> None:
        self.late: list[float] = []

    def watch(self, over: threading.Event, store: Store[Rule], seconds: float = 600.0) -> None:
        """Wake, note, and drain like the screen, until it is over."""
        end = time.perf_counter() + seconds
        drained = time.perf_counter()
        while not over.is_set() and time.perf_counter() < end:
            wanted = time.perf_counter() + WAKE_S
            time.sleep(WAKE_S)
            now = time.perf_counter()
            self.late.append(now - wanted)
            if now - drained >= 0.1:
                drained = now
                store.drain()

    def __str__(self) -> str:
        cuts = statistics.quantiles(self.late, n=100)
        return f"late p50 {cuts[49] * 1e3:5.1f}  p95 {cuts[94] * 1e3:5.1f}  p99 {cuts[98] * 1e3:5.1f}  max {max(self.late) * 1e3:5.1f} ms"


def read(source: Any, lane: Lane, store: Store[Rule], firsts: list[float]) -> None:
    """What the feed does with a listing."""
    began = time.perf_counter()
    store.begin()
    for batch in source.full(lane):
        firsts.append(time.perf_counter() - began)
        store.put(batch)
        time.sleep(YIELD_S)
    store.end()


def measure(way: str, rows: int, rate: float, hang_after: int) -> None:
    """One line of figures for one way to the rows of one server."""
    with tempfile.TemporaryDirectory() as place, rule_stream.running(rows, rate, hang_after) as (address, ca):
        real = backend(Path(place), address, ca, rows)
        source: Any = real.source("rules") if way == "thread" else ChildSource(Path(place), address, ca, rows, way)
        if way == "thread":
            next(iter(source.full(Lane("warm"))))  # imports and log-in, which the console does once
        elif hang_after < 0:
            for _ in source.full(Lane("warm")):
                pass
        store: Store[Rule] = Store()
        lane, over, late, firsts = Lane("rules"), threading.Event(), Late(), list[float]()

        def work() -> None:
            try:
                read(source, lane, store, firsts)
            except Exception:
                store.broke()
            finally:
                over.set()

        child_before = cpu_of(source.process) if way != "thread" else 0.0
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        threading.Thread(target=work, daemon=True).start()
        gave_up = ""
        if hang_after >= 0:
            late.watch(over, store, 3.0)
            asked = time.perf_counter()
            lane.cancel()
            over.wait(20)
            gave_up = f", gave up {(time.perf_counter() - asked) * 1e3:.0f} ms after it was told"
        else:
            late.watch(over, store)
        wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        child_cpu = cpu_of(source.process) - child_before if way != "thread" and hang_after < 0 else 0.0
        label = "silent server" if hang_after >= 0 else f"{rate or 'full':>6} rows/s"
        print(
            f"{way:7} {label:14} {store.count:6} rows in {wall:5.2f} s, first {firsts[0] * 1e3:4.0f} ms, "
            f"CPU here {cpu:5.2f} child {child_cpu:5.2f} s, {late}{gave_up}",
            flush=True,
        )
        real.close()
        if way != "thread":
            source.process.kill()
            source.process.wait()


def main() -> None:
    """The table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--ways", nargs="+", choices=("thread", "pickle", "json"), default=("thread", "pickle", "json"))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--switch", type=float, default=sys.getswitchinterval(), help="the interpreter's switch interval in seconds")
    parser.add_argument("--child", nargs=5, metavar="ARGUMENT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    sys.setswitchinterval(options.switch)
    idle = Late()
    idle.watch(threading.Event(), Store(), 2.0)
    print(f"nothing to read: {idle}")
    for _ in range(options.rounds):
        for rate, hang_after in ((0.0, -1), (11_000.0, -1), (0.0, 4_000)):
            for way in options.ways:
                measure(way, options.rows, rate, hang_after)


if __name__ == "__main__":
    main()
