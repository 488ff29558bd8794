"""URLs of transfers: which are allowed, which storage they are on, how a pair is copied and how fast it may go.

On one machine every storage element would be `davs://localhost`; links, limits and bans therefore also go by endpoint:
the RSE whose door and prefix a URL lies under, else scheme, host and port. Standard library only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from .. import topology
from ..state import Facts, State, rse_prefix

SCHEMES = frozenset({"davs", "https", "root", "roots", "gsiftp", "srm"})
LOCAL_SCHEMES = frozenset({"mock", "file"})
"""Only for tests: `file` would let whoever submits read and write as the service."""
_FAMILY = {"davs": "http", "https": "http", "root": "xroot", "roots": "xroot", "gsiftp": "gsiftp", "mock": "mock", "srm": "srm"}
LINK_ACTIVE = 4
"""Most transfers at a time on one link, as long as nobody configured another number."""


class BadUrl(ValueError):
    """A URL that FTS would refuse; the text is FTS's."""


def checked(url: str, *, allow_local: bool = False) -> str:
    """`url` stripped of space around it; raises BadUrl with FTS's text (HTTP 400 there)."""
    url = url.strip()
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError as error:
        raise BadUrl(f"Invalid value within the request: {error} ({url})") from error
    if not parts.scheme:
        raise BadUrl(f"Invalid value within the request: Missing scheme ({url})")
    local = allow_local and parts.scheme in LOCAL_SCHEMES
    if parts.scheme == "file" and not local:
        raise BadUrl(f"Invalid value within the request: Can not transfer local files ({url})")
    if not parts.path or (parts.path == "/" and not parts.query):
        raise BadUrl(f"Invalid value within the request: Missing path ({url})")
    if not host and parts.scheme != "file":
        raise BadUrl(f"Invalid value within the request: Missing host ({url})")
    if parts.scheme not in SCHEMES and not local:
        raise BadUrl(f"Invalid value within the request: Unsupported scheme ({url})")
    return url


def storage_element(url: str) -> str:
    """FTS's name of a storage: scheme and host, without the port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}"


def address(url: str) -> str:
    """Scheme, host and port where there is one: what tells the lake's storages apart."""
    parts = urlsplit(url)
    return storage_element(url) + (f":{parts.port}" if parts.port else "")


def needs_credential(source: str, destination: str) -> bool:
    """Whether a copy talks to a storage server at all."""
    return any(urlsplit(url).scheme not in LOCAL_SCHEMES for url in (source, destination))


def third_party(source: str, destination: str) -> bool:
    """Whether the storages can copy between themselves; otherwise the bytes stream through the transfer process."""
    family = _FAMILY.get(urlsplit(source).scheme)
    return family in ("http", "xroot", "gsiftp", "mock") and family == _FAMILY.get(urlsplit(destination).scheme)


@dataclass(frozen=True)
class Pace:
    """How a link may be used: most transfers at a time, least seconds between two starts."""

    active: int = LINK_ACTIVE
    seconds: float = 0.0


class Links:
    """The lake's doors and links, by URL."""

    def __init__(self, state: State, facts: Facts) -> None:
        doors: list[tuple[str, str, int, str]] = []
        for rse in topology.RSES:
            for scheme, server_name in rse.doors:
                port = facts.ports.get(topology.server(server_name).port_name(scheme))
                if port is not None:
                    doors.append((_path(rse_prefix(state, rse, scheme)), rse.name, port, scheme))
        self._doors = sorted(doors, key=lambda door: -len(door[0]))
        self._slow = {(each.source, each.destination): Pace(1, each.seconds) for each in topology.SLOW_LINKS}

    def endpoint(self, url: str) -> str:
        """The RSE that `url` lies on, else its `address`."""
        parts = urlsplit(url)
        if parts.hostname in (topology.HOST, "127.0.0.1"):
            for prefix, name, port, scheme in self._doors:
                if parts.port == port and _same_door(scheme, parts) and _path(parts.path).startswith(prefix):
                    return name
        return address(url)

    def pace(self, source: str, destination: str) -> Pace:
        """The pace of the link between two endpoints."""
        return self._slow.get((source, destination), Pace())


def _same_door(scheme: str, parts: SplitResult) -> bool:
    return _FAMILY.get(scheme) == _FAMILY.get(parts.scheme)


def _path(path: str) -> str:
    return re.sub(r"/+", "/", path)
