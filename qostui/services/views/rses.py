"""The view of RSEs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ...domain.rse import Door, Rse
from ...domain.table import Column, Fact, View
from ...domain.text import SafeText, clean
from ...domain.units import age_text, bytes_text, iso, minute_text


def _schemes(rse: Rse) -> str:
    seen: dict[str, bool] = {}
    for door in rse.doors:
        seen[door.scheme] = seen.get(door.scheme, True) and door.catalogue_only
    return " ".join(f"({scheme})" if hidden else scheme for scheme, hidden in seen.items())


def _free_style(rse: Rse, now: datetime) -> str:
    if rse.free is None or not rse.total:
        return "muted" if rse.free is None else ""
    return "state-stuck" if rse.free < rse.total * 0.05 else "state-replicating" if rse.free < rse.total * 0.15 else ""


def _operations(numbers: tuple[int, ...], names: Sequence[str]) -> str:
    return " ".join(f"{name}:{number}" for name, number in zip(names, numbers, strict=True) if number) or "none"


def _door_text(door: Door) -> SafeText:
    if door.catalogue_only:
        return clean(f"{door.address}   catalogue only: no operation is offered through it")
    names = ("read", "write", "delete")
    return clean(
        f"{door.address}   lan {_operations(door.lan, names)} · wan {_operations(door.wan, names)}"
        f" · third-party copy {_operations(door.third_party, ('read', 'write'))}"
    )


def _detail(rse: Rse, now: datetime) -> list[Fact]:
    facts = [
        Fact(rse.name),
        Fact("type", clean(rse.type)),
        Fact("quality of service", clean(rse.qos or "no QOS attribute"), "" if rse.qos else "state-replicating"),
        Fact("availability", clean(", ".join(f"{name} {'on' if on else 'OFF'}" for name, on in _switches(rse)))),
        Fact("placement", clean(" ".join(word for word, on in _kinds(rse) if on))),
        Fact("space"),
        Fact("free", clean(bytes_text(rse.free) or "not reported"), _free_style(rse, now)),
        Fact("used", clean(bytes_text(rse.used) or "not reported")),
        Fact("total", clean(bytes_text(rse.total) or "not reported")),
        Fact("counted by Rucio", clean(f"{bytes_text(rse.rucio_used) or 'nothing yet'}{f' in {rse.files} files' if rse.files else ''}")),
    ]
    if rse.usage_at is not None:
        reported = f"by {rse.usage_source}, {age_text(rse.usage_at, now)} ago ({minute_text(rse.usage_at)})"
        facts.append(Fact("reported", clean(reported)))
    if rse.incomplete:
        facts.append(Fact("not complete", clean(rse.incomplete), "state-stuck"))
    facts.append(Fact("doors"))
    facts.extend(Fact(clean(door.scheme), _door_text(door), "muted" if door.catalogue_only else "") for door in rse.doors)
    facts.append(Fact("attributes"))
    facts.extend(Fact(clean(name), clean(value)) for name, value in rse.attributes)
    return facts


def _switches(rse: Rse) -> tuple[tuple[str, bool], ...]:
    return ("read", rse.read), ("write", rse.write), ("delete", rse.delete)


def _kinds(rse: Rse) -> tuple[tuple[str, bool], ...]:
    return (
        ("deterministic", rse.deterministic),
        ("non-deterministic", not rse.deterministic),
        ("volatile", rse.volatile),
        ("staging-area", rse.staging_area),
    )


def _door_record(door: Door) -> dict[str, Any]:
    lan, wan, copy = door.lan, door.wan, door.third_party
    return {
        "url": door.address,
        "scheme": door.scheme,
        "hostname": door.hostname,
        "port": door.port,
        "prefix": door.prefix,
        "impl": door.impl,
        "domains": {
            "lan": dict(zip(("read", "write", "delete"), lan, strict=True)),
            "wan": dict(zip(("read", "write", "delete"), wan, strict=True))
            | dict(zip(("third_party_copy_read", "third_party_copy_write"), copy, strict=True)),
        },
    }


def _record(rse: Rse) -> dict[str, Any]:
    return {
        "rse": rse.name,
        "rse_type": rse.type,
        "qos": rse.qos or None,
        "availability": rse.availability,
        "availability_read": rse.read,
        "availability_write": rse.write,
        "availability_delete": rse.delete,
        "free": rse.free,
        "used": rse.used,
        "total": rse.total,
        "usage_source": rse.usage_source or None,
        "usage_updated_at": iso(rse.usage_at),
        "rucio_used": rse.rucio_used,
        "files": rse.files,
        "deterministic": rse.deterministic,
        "volatile": rse.volatile,
        "staging_area": rse.staging_area,
        "doors": [_door_record(door) for door in rse.doors],
        "attributes": dict(rse.attributes),
        "incomplete": rse.incomplete or None,
    }


VIEW: View[Rse] = View(
    id="rses",
    title="RSEs",
    columns=(
        Column("rse", "RSE", lambda r, now: clean(r.name), lambda r: r.name, 18, letter="r"),
        Column(
            "qos",
            "QOS",
            lambda r, now: clean(r.qos or "-"),
            lambda r: r.qos or None,
            15,
            style=lambda r, now: "" if r.qos else "muted",
            letter="q",
        ),
        Column(
            "type",
            "TYPE",
            lambda r, now: clean(r.type),
            lambda r: r.type,
            5,
            style=lambda r, now: {"DISK": "type-disk", "TAPE": "type-tape"}.get(r.type, "state-replicating"),
            letter="y",
            priority=2,
        ),
        Column(
            "availability",
            "AVAIL",
            lambda r, now: clean(r.availability),
            lambda r: r.availability,
            5,
            style=lambda r, now: "" if r.read and r.write and r.delete else "state-stuck",
            letter="v",
        ),
        Column("free", "FREE", lambda r, now: clean(bytes_text(r.free) or "-"), lambda r: r.free, 8, "right", _free_style, "f"),
        Column("used", "USED", lambda r, now: clean(bytes_text(r.used) or "-"), lambda r: r.used, 8, "right", letter="u"),
        Column("total", "TOTAL", lambda r, now: clean(bytes_text(r.total) or "-"), lambda r: r.total, 8, "right", letter="t", priority=2),
        Column("doors", "DOORS", lambda r, now: clean(_schemes(r)), _schemes, letter="d"),
    ),
    order=(("rse", False),),
    detail=_detail,
    record=_record,
    aliases=("rse",),
)
