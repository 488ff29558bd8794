"""The measurements: name -> function of a run, in the order in which they are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..figures import Figure
from ..run import Run
from . import gfal, keys, listing, memory, painted, slow, start, switch

Measure = Callable[[Run], Iterable[Figure]]

MEASURES: dict[str, Measure] = {
    "version": start.version,
    "start-kept": start.kept,
    "start-live": start.live,
    "keys": keys.keys,
    "bytes": painted.cell_bytes,
    "idle": painted.idle,
    "hidden": painted.hidden,
    "memory": memory.made_up,
    "listing": listing.listing,
    "switch": switch.switch,
    "gfal": gfal.gfal,
    "slow-line": slow.slow,
}
