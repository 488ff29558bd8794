"""The source of RSEs: the list, and for each its doors, attributes and space."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from ..domain.errors import ConnectionProblem, CredentialProblem, NotFoundProblem, OverloadProblem, Problem
from ..domain.rse import Door, Rse
from ..services.feeds import Cancel
from .rucio import Connection, moment, number, quoted

STILL_S = 300.0
"""Doors and attributes change rarely: they are asked for again after so long, availability and space each time."""
AT_ONCE = 25
"""On a large instance at most so many RSEs have doors and attributes asked again in one listing."""
BATCH = 5
DOOR_ATTRIBUTE = "door_"
"""`door_roots` = roots://host:port//prefix: how a door is recorded whose scheme Rucio does not know."""


class RseSource:
    """All RSEs of an instance, or those of an RSE expression."""

    def __init__(self, connection: Connection, expression: str = "") -> None:
        self._connection = connection
        self._expression = expression
        self._kept: dict[str, tuple[float, tuple[Door, ...], tuple[tuple[str, str], ...]]] = {}

    def since(self, moment: datetime, cancel: Cancel) -> None:
        """RSEs have no increments."""
        return None

    def full(self, cancel: Cancel) -> Iterator[Sequence[Rse]]:
        """All RSEs; raises Problem."""
        wanted = self._matching(cancel) if self._expression else None
        found = [row for row in self._connection.stream("rses/", cancel) if wanted is None or row.get("rse") in wanted]
        again = AT_ONCE
        batch: list[Rse] = []
        for listed in sorted(found, key=lambda row: str(row.get("rse"))):
            name = str(listed.get("rse"))
            kept = self._kept.get(name)
            if kept is None or (again > 0 and time.monotonic() - kept[0] > STILL_S):
                again -= kept is not None
                kept = None
            batch.append(self._rse(name, listed, kept, cancel))
            if len(batch) >= BATCH:
                yield batch
                batch = []
        yield batch

    def _matching(self, cancel: Cancel) -> set[str]:
        try:
            return {str(row.get("rse")) for row in self._connection.stream("rses/", cancel, expression=self._expression)}
        except Problem as problem:
            if "empty set" in problem.summary:
                return set()
            raise

    def _rse(self, name: str, listed: dict[str, Any], kept: Any, cancel: Cancel) -> Rse:
        doors, attributes, incomplete = (kept[1], kept[2], "") if kept else ((), (), "")
        usage: dict[str, dict[str, Any]] = {}
        try:
            if not kept:
                attributes = _attributes(name, self._connection.document(f"rses/{quoted(name)}/attr/", cancel))
                doors = _doors(self._connection.document(f"rses/{quoted(name)}", cancel), attributes)
                self._kept[name] = (time.monotonic(), doors, attributes)
            usage = {str(row.get("source")): row for row in self._connection.stream(f"rses/{quoted(name)}/usage", cancel)}
        except (ConnectionProblem, CredentialProblem):
            raise
        except NotFoundProblem:
            incomplete = "went away while it was read"
        except Problem as problem:
            if isinstance(problem, OverloadProblem) and problem.everywhere:
                raise
            # One RSE that the server chokes on must not hide the others.
            incomplete = problem.summary
        source = "storage" if "storage" in usage else "rucio" if "rucio" in usage else ""
        space, counted = usage.get(source, {}), usage.get("rucio", {})
        return Rse(
            name=name,
            type=str(listed.get("rse_type") or ""),
            qos=dict(attributes).get("QOS", ""),
            read=bool(listed.get("availability_read")),
            write=bool(listed.get("availability_write")),
            delete=bool(listed.get("availability_delete")),
            free=number(space.get("free")),
            used=number(space.get("used")),
            total=number(space.get("total")) if source == "storage" else None,
            usage_source=source,
            usage_at=moment(space.get("updated_at")),
            rucio_used=number(counted.get("used")),
            files=number(counted.get("files")),
            doors=doors,
            attributes=attributes,
            deterministic=bool(listed.get("deterministic", True)),
            volatile=bool(listed.get("volatile")),
            staging_area=bool(listed.get("staging_area")),
            incomplete=incomplete,
        )


def _attributes(name: str, document: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(document, dict):
        return ()
    # Rucio gives each RSE an attribute of its own name, so that expressions can name it.
    return tuple(sorted((str(key), _word(value)) for key, value in document.items() if key != name))


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _doors(document: Any, attributes: tuple[tuple[str, str], ...]) -> tuple[Door, ...]:
    """The protocols, then doors of schemes that Rucio does not know (`roots`), which an attribute records."""
    protocols = document.get("protocols") if isinstance(document, dict) else None
    doors = [_door(each) for each in protocols or [] if isinstance(each, dict)]
    recorded = [_recorded_door(value) for name, value in attributes if name.startswith(DOOR_ATTRIBUTE)]
    return tuple(sorted([*doors, *filter(None, recorded)], key=lambda door: (door.wan[0] or 99, door.scheme)))


def _recorded_door(address: str) -> Door | None:
    try:
        parts = urlsplit(address)
        return Door(parts.scheme, parts.hostname or "", parts.port or 0, parts.path) if parts.scheme else None
    except ValueError:
        return None


def _door(protocol: dict[str, Any]) -> Door:
    domains = protocol.get("domains") or {}

    def priorities(domain: str, *operations: str) -> tuple[int, ...]:
        values = domains.get(domain) or {}
        return tuple(number(values.get(operation)) or 0 for operation in operations)

    lan, wan = priorities("lan", "read", "write", "delete"), priorities("wan", "read", "write", "delete")
    copies = priorities("wan", "third_party_copy_read", "third_party_copy_write")
    return Door(
        scheme=str(protocol.get("scheme") or "?"),
        hostname=str(protocol.get("hostname") or ""),
        port=number(protocol.get("port")) or 0,
        prefix=str(protocol.get("prefix") or ""),
        lan=(lan[0], lan[1], lan[2]),
        wan=(wan[0], wan[1], wan[2]),
        third_party=(copies[0], copies[1]),
        impl=str(protocol.get("impl") or ""),
    )
