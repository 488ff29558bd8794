"""Memory of the console and of a DataTable app with 100,000 made-up rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from ..figures import Figure
from ..run import Run
from ..terminal import Terminal
from .keys import datatable, loaded


def made_up(run: Run) -> Iterator[Figure]:
    """Resident memory at rest."""
    ours = [_sizes(partial(loaded, run)) for _ in range(run.repeat)]
    theirs, _ = _sizes(partial(datatable, run))
    shared = sorted(pss for _, pss in ours)[len(ours) // 2]
    yield Figure("memory-made", tuple(rss for rss, _ in ours), {"DataTable": (theirs,)}, f"RSS; Pss {shared:.0f} MiB")


def _sizes(start: Callable[[], Terminal]) -> tuple[float, float]:
    with start() as terminal:
        terminal.listen(3.0)
        return terminal.memory()
