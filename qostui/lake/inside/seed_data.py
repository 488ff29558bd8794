"""What the lake is seeded with: datasets, containers and rules, as the communities of ESCAPE would have them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Dataset:
    """Files with real bytes on one RSE; the files of kind `root` are ROOT files with a tree that opens."""

    scope: str
    name: str
    files: int
    kind: str
    """`root`, `fits` or `raw`."""
    home: str
    account: str
    container: str | None = None
    """`scope:name` of the container it is attached to."""
    kilobytes: int = 96
    """Typical size of a file."""

    @property
    def did(self) -> str:
        return f"{self.scope}:{self.name}"


DATASETS: tuple[Dataset, ...] = (
    Dataset("fair", "raw.run0042", 30, "raw", "GSI-ROOT", "fair", "fair:run2026", 160),
    Dataset("fair", "raw.run0043", 20, "raw", "GSI-ROOT", "fair", "fair:run2026", 160),
    Dataset("cbm", "aod.v3", 24, "root", "DESY-DCACHE", "fair", "cbm:aod"),
    Dataset("cbm", "aod.v4", 16, "root", "DESY-DCACHE", "fair", "cbm:aod"),
    Dataset("lofar", "L246810", 20, "raw", "SARA-TAPE", "lofar", "lofar:cycle14", 256),
    Dataset("lofar", "L246812", 20, "raw", "SARA-TAPE", "lofar", "lofar:cycle14", 256),
    Dataset("cta", "dl1.2026-11-20", 20, "root", "IN2P3-QOS-SAFE", "cta", "cta:dl1.2026-11"),
    Dataset("cta", "dl1.2026-11-21", 20, "root", "IN2P3-QOS-SAFE", "cta", "cta:dl1.2026-11"),
    Dataset("ska", "sdc1", 13, "fits", "EULAKE-1", "ska", None, 200),
    Dataset("ska", "pss.beam07", 40, "raw", "ALPAMED-DPM", "ska", "ska:pss", 64),
    Dataset("testing", "noise.2026-11", 60, "raw", "EULAKE-1", "ops", None, 16),
    Dataset("testing", "gridftp.parents", 5, "raw", "DESY-DCACHE", "ops"),
    Dataset("testing", "lost.on.disk", 5, "raw", "EULAKE-1", "ops"),
    Dataset("user.bob", "analysis.plots", 8, "root", "LAPP-WEBDAV", "bob"),
)

LOST_FILES = 2
"""How many files of `testing:lost.on.disk` the storage has lost although the catalogue has them."""


@dataclass(frozen=True)
class Rule:
    """A replication rule and the state it must have reached before the seed is good."""

    did: str
    copies: int
    expression: str
    account: str
    activity: str
    reaches: str
    """Rule state at the end of seeding, as Rucio spells it."""
    comment: str | None = None
    ask_approval: bool = False
    suspend: bool = False
    priority: int = 3
    source: str | None = None


RULES: tuple[Rule, ...] = (
    *(Rule(each.did, 1, each.home, each.account, "Upload/Download (User)", "OK") for each in DATASETS),
    Rule("cbm:aod.v3", 2, "QOS=CHEAP-ANALYSIS", "fair", "Analysis Input", "OK", "analysis copies for the CBM demonstration"),
    Rule("fair:raw.run0042", 1, "QOS=SAFE&site=IN2P3", "fair", "Data Consolidation", "OK", "second copy of raw data"),
    Rule("cta:dl1.2026-11-21", 1, "SARA-TAPE", "cta", "T0 Tape", "OK", "archive copy"),
    Rule("lofar:L246810", 1, "QOS=FAST", "lofar", "Staging", "OK", "staged from tape for the calibration job"),
    Rule("ska:sdc1", 1, "DESY-DCACHE", "ska", "User Subscriptions", "OK"),
    Rule("user.bob:analysis.plots", 1, "GSI-ROOT", "bob", "Upload/Download (User)", "OK"),
    Rule("ska:pss.beam07", 1, "LAPP-WEBDAV", "ska", "Data Brokering", "REPLICATING", "pulsar search beams, over a slow link"),
    Rule("testing:gridftp.parents", 1, "CNAF-GRIDFTP", "ops", "Functional Test", "STUCK", "a destination with GridFTP only"),
    Rule("testing:lost.on.disk", 1, "IN2P3-QOS-CHEAP", "ops", "Functional Test", "STUCK", "two files are gone from the source"),
    Rule(
        "lofar:L246812",
        1,
        "QOS=FAST",
        "lofar",
        "Staging",
        "WAITING_APPROVAL",
        "a large staging request: needs the operator's approval",
        ask_approval=True,
    ),
    Rule(
        "cbm:aod.v4",
        1,
        "QOS=OPPORTUNISTIC&site=LAPP",
        "fair",
        "Data Rebalancing",
        "SUSPENDED",
        "held until the LAPP downtime is over",
        suspend=True,
    ),
)


def reaches(rule: Rule, rucio: str) -> str:
    """The state `rule` ends in with this Rucio version: up to 40.4.2 GridFTP pairs with GridFTP."""
    if rule.expression == "CNAF-GRIDFTP" and rucio.startswith("40."):
        return "OK"
    return rule.reaches
