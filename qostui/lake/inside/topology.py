"""What the lake is made of: its storage servers, RSEs, doors, people and links, as tables.

Everything that is written into configurations, certificates and the Rucio catalogue is read from here, so a new
door, RSE or person is one entry. Standard library only: the console's side of the lake reads it too.
"""

from __future__ import annotations

from dataclasses import dataclass, field

VO = "escape"
DN_BASE = "/DC=test/DC=qostui"
CA_NAME = "QoSTUI Lake CA"
HOST = "localhost"
WLCG_ANY_AUDIENCE = "https://wlcg.cern.ch/jwt/v1/any"
RUCIO_AUDIENCE = "rucio"
GRIDFTP_DATA_PORTS = 200
"""Passive data ports of each GridFTP server: with 29, eight parallel clients already ran out (TIME_WAIT)."""


@dataclass(frozen=True)
class Server:
    """One storage server process: the doors it opens and the roles it plays.

    `doors` maps a scheme to the name of its port; `roots` shares the port of `root`.
    """

    name: str
    software: str
    """`xrootd` or `gridftp`."""
    schemes: tuple[str, ...]
    data: str
    """Directory below `data/`; two servers may share one, so that they open doors to the same files."""
    tokens: bool = False
    """Takes SciTokens: over davs, and over roots where `roots` is among the schemes."""
    macaroons: bool = False
    tape: bool = False

    def port_name(self, scheme: str) -> str:
        """Name of the port that serves `scheme`."""
        return f"{self.name}-{'root' if scheme == 'roots' else scheme}"

    @property
    def port_names(self) -> tuple[str, ...]:
        """The listening ports of this server, each once, in the order of its schemes."""
        return tuple(dict.fromkeys(self.port_name(scheme) for scheme in self.schemes))


SERVERS: tuple[Server, ...] = (
    Server("gsi-root", "xrootd", ("root", "roots", "davs"), "gsi-root", tokens=True, macaroons=True),
    Server("desy-dcache", "xrootd", ("root", "davs"), "desy-dcache", tokens=True, macaroons=True),
    Server("desy-gridftp", "gridftp", ("gsiftp",), "desy-dcache"),
    Server("sara-tape", "xrootd", ("root", "davs"), "sara-tape", tokens=True, tape=True),
    Server("eulake", "xrootd", ("root", "davs"), "eulake", tokens=True, macaroons=True),
    Server("lapp-webdav", "xrootd", ("davs",), "lapp-webdav", tokens=True, macaroons=True),
    Server("in2p3", "xrootd", ("root", "davs"), "in2p3", tokens=True, macaroons=True),
    Server("alpamed", "xrootd", ("root", "davs"), "alpamed", tokens=True, macaroons=True),
    Server("cnaf-gridftp", "gridftp", ("gsiftp",), "cnaf-gridftp"),
)


@dataclass(frozen=True)
class Rse:
    """One Rucio Storage Element: where its doors are, which Quality of Service it promises and how big it is."""

    name: str
    doors: tuple[tuple[str, str], ...]
    """(scheme, server name), most preferred first."""
    prefix: str
    """Namespace prefix as the storage sees it; GridFTP adds the data directory in front (no chroot as a user)."""
    qos: str | None
    country: str
    site: str
    capacity: int
    """Bytes this RSE says it has in all."""
    tape: bool = False
    attributes: tuple[tuple[str, str], ...] = field(default=())


GB = 10**9

RSES: tuple[Rse, ...] = (
    Rse(
        "GSI-ROOT",
        (("davs", "gsi-root"), ("root", "gsi-root"), ("roots", "gsi-root")),
        "/data/escape",
        "CHEAP-ANALYSIS",
        "DE",
        "GSI",
        40 * GB,
    ),
    Rse(
        "DESY-DCACHE",
        (("davs", "desy-dcache"), ("root", "desy-dcache"), ("gsiftp", "desy-gridftp")),
        "/data/escape",
        "CHEAP-ANALYSIS",
        "DE",
        "DESY",
        80 * GB,
    ),
    Rse("SARA-TAPE", (("davs", "sara-tape"), ("root", "sara-tape")), "/data/lofar", "SAFE", "NL", "SARA", 400 * GB, tape=True),
    Rse("EULAKE-1", (("davs", "eulake"), ("root", "eulake")), "/data/escape", "FAST", "CH", "CERN", 20 * GB),
    Rse("LAPP-WEBDAV", (("davs", "lapp-webdav"),), "/data/escape", "OPPORTUNISTIC", "FR", "LAPP", 10 * GB),
    Rse("IN2P3-QOS-SAFE", (("davs", "in2p3"), ("root", "in2p3")), "/data/escape-qos-safe", "SAFE", "FR", "IN2P3", 60 * GB),
    Rse(
        "IN2P3-QOS-CHEAP",
        (("davs", "in2p3"), ("root", "in2p3")),
        "/data/escape-qos-cheap-analysis",
        "CHEAP-ANALYSIS",
        "FR",
        "IN2P3",
        60 * GB,
    ),
    Rse("CNAF-GRIDFTP", (("gsiftp", "cnaf-gridftp"),), "/data/escape", "OPPORTUNISTIC", "IT", "CNAF", 10 * GB),
    Rse("ALPAMED-DPM", (("davs", "alpamed"), ("root", "alpamed")), "/data/escape", None, "FR", "ALPAMED", 10 * GB),
)


@dataclass(frozen=True)
class Person:
    """Someone who holds credentials of the lake; `robot` is what FTS and the daemons act as."""

    name: str
    certificate: bool = True
    fqans: tuple[str, ...] = ()
    """VOMS attributes of the proxy; empty: a plain RFC proxy."""
    accounts: tuple[str, ...] = ()
    """Rucio accounts that the certificate logs in to, the default one first."""
    token_account: str | None = None
    """Rucio account that the token's subject logs in to."""
    storage: str = "rl"
    """XRootD authorisation over all data: `a` everything, `rl` read and list."""
    groups: tuple[str, ...] = ()


PEOPLE: tuple[Person, ...] = (
    Person(
        "alice",
        fqans=("/escape/Role=NULL/Capability=NULL", "/escape/qos/Role=operator/Capability=NULL"),
        accounts=("ops", "alice"),
        token_account="alice",
        storage="a",
        groups=("/escape", "/escape/qos"),
    ),
    Person("bob", fqans=("/escape/Role=NULL/Capability=NULL",), accounts=("bob",), token_account="bob", storage="rl", groups=("/escape",)),
    Person("robot", fqans=("/escape/Role=NULL/Capability=NULL",), accounts=("root",), storage="a", groups=("/escape",)),
)


@dataclass(frozen=True)
class Account:
    """A Rucio account; `userpass` gives it a pass word log-in of its own name."""

    name: str
    kind: str
    admin: bool = False
    userpass: bool = False


ACCOUNTS: tuple[Account, ...] = (
    Account("root", "SERVICE", admin=True, userpass=True),
    Account("ops", "USER", admin=True, userpass=True),
    Account("alice", "USER", admin=True),
    Account("bob", "USER", userpass=True),
    Account("fair", "GROUP"),
    Account("lofar", "GROUP"),
    Account("cta", "GROUP"),
    Account("ska", "GROUP"),
)

SCOPES: tuple[tuple[str, str], ...] = (
    ("fair", "fair"),
    ("cbm", "fair"),
    ("lofar", "lofar"),
    ("cta", "cta"),
    ("ska", "ska"),
    ("testing", "ops"),
    ("user.bob", "bob"),
)
"""(scope, owning account)."""


@dataclass(frozen=True)
class SlowLink:
    """A link the FTS stand-in paces, so that a rule over it stays REPLICATING for real, a file at a time."""

    source: str
    destination: str
    seconds: float
    """Least time between two starts; one transfer is active at a time."""


SLOW_LINKS: tuple[SlowLink, ...] = (SlowLink("ALPAMED-DPM", "LAPP-WEBDAV", 60.0),)

WEB_SERVICES: tuple[str, ...] = ("rucio", "oidc", "fts", "tape")
"""Port names of the services that speak HTTPS and are not storages."""


def server(name: str) -> Server:
    """The storage server called `name`; raises KeyError."""
    for candidate in SERVERS:
        if candidate.name == name:
            return candidate
    raise KeyError(name)


def rse(name: str) -> Rse:
    """The RSE called `name`; raises KeyError."""
    for candidate in RSES:
        if candidate.name == name:
            return candidate
    raise KeyError(name)


def port_names() -> tuple[str, ...]:
    """Names of all single ports of the lake, web services first."""
    return WEB_SERVICES + tuple(name for each in SERVERS for name in each.port_names)


def distinguished_name(common_name: str) -> str:
    """The subject of a certificate of the lake, spelled as Rucio, grid-mapfiles and VOMS spell it."""
    return f"{DN_BASE}/CN={common_name}"


def unix_name(person: str) -> str:
    """The name that storage authorisation knows a certificate by.

    It differs from any token subject on purpose: with equal names a token of the wrong audience was let in over
    roots (reference: seen with XRootD 5.5.3, `onmissing=passthrough`).
    """
    return f"x509-{person}"
