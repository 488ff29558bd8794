"""Makes the bytes of the seed: deterministic, and ROOT files that a ROOT reader opens."""

from __future__ import annotations

import hashlib
import random
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .seed_data import Dataset

if TYPE_CHECKING:
    from collections.abc import Iterator

_EXTENSIONS = {"root": ".root", "fits": ".fits", "raw": ".raw"}
_FITS_BLOCK = 2880


@dataclass(frozen=True)
class Made:
    """One file of the seed as the catalogue will know it."""

    scope: str
    name: str
    size: int
    adler32: str
    md5: str


def names(dataset: Dataset) -> Iterator[str]:
    """The file names of a dataset."""
    for number in range(1, dataset.files + 1):
        yield f"{dataset.name}.f{number:04d}{_EXTENSIONS[dataset.kind]}"


def hashed_path(scope: str, name: str) -> str:
    """Path below an RSE's prefix by Rucio's `hash` algorithm (rucio/rse/translation.py): dots of user scopes are slashes."""
    digest = hashlib.md5(f"{scope}:{name}".encode(), usedforsecurity=False).hexdigest()
    place = scope.replace(".", "/") if scope.startswith(("user", "group")) else scope
    return f"{place}/{digest[0:2]}/{digest[2:4]}/{name}"


def make(dataset: Dataset, name: str, path: Path) -> Made:
    """Write one file of `dataset` at `path`, parents included, and describe it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dice = random.Random(f"{dataset.did}/{name}")  # noqa: S311  # data, not a secret
    size = int(dataset.kilobytes * 1000 * dice.uniform(0.6, 1.4))
    if dataset.kind == "root":
        _write_root(path, dice, events=size // 24)
    elif dataset.kind == "fits":
        path.write_bytes(_fits(dice, size))
    else:
        path.write_bytes(dice.randbytes(size))
    content = path.read_bytes()
    return Made(dataset.scope, name, len(content), f"{zlib.adler32(content):08x}", hashlib.md5(content, usedforsecurity=False).hexdigest())


def _write_root(path: Path, dice: random.Random, events: int) -> None:
    """A ROOT file with a tree `events` of three branches."""
    import numpy
    import uproot

    generator = numpy.random.default_rng(dice.getrandbits(64))
    with uproot.recreate(path) as file:
        file["events"] = {
            "energy": generator.exponential(40.0, events).astype("float32"),
            "eta": generator.normal(0.0, 1.4, events).astype("float32"),
            "event": numpy.arange(events, dtype="int64"),
        }


def _fits(dice: random.Random, size: int) -> bytes:
    """A FITS image (FITS standard 4.0, section 4): one header block, then 16-bit pixels, padded to whole blocks."""
    rows = max(1, size // (2 * 512))
    cards = [
        "SIMPLE  =                    T",
        "BITPIX  =                   16",
        "NAXIS   =                    2",
        "NAXIS1  =                  512",
        f"NAXIS2  = {rows:>20}",
        "END",
    ]
    header = "".join(card.ljust(80) for card in cards).ljust(_FITS_BLOCK)
    pixels = dice.randbytes(rows * 512 * 2)
    return header.encode("ascii") + pixels + b"\0" * (-len(pixels) % _FITS_BLOCK)
