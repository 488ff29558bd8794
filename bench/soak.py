"""`python -m bench.soak`: half an hour of the console under updates and keys; ends with 1 when its memory grows.

The first sixth is warm-up. Of the rest, the median of the last third may be at most 5 % over that of the first.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import statistics
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from .measure.keys import COUNT, changing
from .run import Run
from .terminal import Terminal

RESULT = Path(__file__).with_name("soak.json")
SECONDS = 1800
SAMPLES = 30
"""One a minute in the full half hour; as many in a shorter one."""
WARM_UP = 1 / 6
GROWTH = 0.05
KEY_EVERY = 2.0
KEYS = ("down", "down", "down", "pgdn", "pgdn", "home", "1", "2", "enter", "escape", "s", "a", "s", "s")
"""What is pressed now and then, by chance: moving, other panes, detail, sorting by age and by state again."""


def grown(sizes: Sequence[float]) -> float:
    """Share by which the last third of the sizes, warm-up left out, is over the first third; raises ValueError for too few."""
    settled = sizes[round(len(sizes) * WARM_UP) :]
    third = len(settled) // 3
    if third < 1:
        raise ValueError("too few samples to tell growth")
    return statistics.median(settled[-third:]) / statistics.median(settled[:third]) - 1


def soak(terminal: Terminal, seconds: float) -> list[tuple[float, float]]:
    """Keep the console busy; (seconds since the start, resident MiB) at equal steps. Raises Timeout when it dies."""
    terminal.command("run")
    terminal.command("busy")
    chance = random.Random(3)  # noqa: S311  # which key is pressed
    sizes: list[tuple[float, float]] = []
    began = time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds:
        if spent >= seconds * (len(sizes) + 1) / SAMPLES:
            sizes.append((spent, terminal.memory()[0]))
            print(f"{spent:6.0f} s  {sizes[-1][1]:6.1f} MiB", file=sys.stderr, flush=True)
        terminal.send(chance.choice(KEYS))
        terminal.listen(min(KEY_EVERY, seconds / SAMPLES))
        # Half an hour of output would be hundreds of megabytes, and nobody looks at it.
        terminal.chunks.clear()
    sizes.append((seconds, terminal.memory()[0]))
    return sizes


def main(argv: list[str] | None = None) -> int:
    """Soak, judge, keep the result; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--output", type=Path, help=f"where the result goes (default: bench/{RESULT.name} for a full soak)")
    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with Run(1, lambda text: print(text, file=sys.stderr)) as run, changing(run) as terminal:
        before = terminal.cpu()
        sizes = soak(terminal, arguments.seconds)
        cpu = 100 * (terminal.cpu() - before) / arguments.seconds
    growth = grown([size for _, size in sizes])
    document = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "rows": COUNT,
        "seconds": arguments.seconds,
        "cpu_percent": round(cpu, 1),
        "growth_percent": round(100 * growth, 2),
        "limit_percent": 100 * GROWTH,
        "rss_mb": [[round(at), round(size, 1)] for at, size in sizes],
    }
    if arguments.output is not None or arguments.seconds >= SECONDS:
        (arguments.output or RESULT).write_text(json.dumps(document) + "\n")
    print(f"memory grew by {100 * growth:.1f} % (at most {100 * GROWTH:.0f} %), {cpu:.0f} % CPU: {'ok' if growth <= GROWTH else 'OVER'}")
    return 0 if growth <= GROWTH else 1


if __name__ == "__main__":
    sys.exit(main())
