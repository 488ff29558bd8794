"""Banned storages and users, and what a ban does to submissions and to what is already queued.

A storage is banned by FTS's name of it (scheme and host) or with its port. CANCEL refuses submissions and cancels what
waits, WAIT refuses them and lets the rest wait, WAIT_AS takes them and holds them. Standard library only.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from . import links, states
from .store import Store
from .submission import Refused, Submission


def apply(store: Store, made: Submission) -> None:
    """Refuse a submission to or from a banned storage, or hold it where the ban says WAIT_AS."""
    banned = {ban["name"]: ban["status"] for ban in store.bans("se")}
    for file in made.files:
        for name in names(file):
            if name in banned and banned[name] != "WAIT_AS":
                raise Refused(403, f"{name} is banned")
            if name in banned and file["file_state"] in (states.SUBMITTED, states.STAGING):
                file["file_state"] = states.ON_HOLD if file["file_state"] == states.SUBMITTED else states.ON_HOLD_STAGING


def holds(file: Mapping[str, Any], banned: Container[str]) -> bool:
    """Whether either end of a file is on a banned storage, by FTS's name of it or with its port."""
    return any(name in banned for name in names(file))


def names(file: Mapping[str, Any]) -> tuple[str, ...]:
    """The names by which a file's storages can be banned."""
    return (file["source_se"], file["dest_se"], links.address(file["source_surl"]), links.address(file["dest_surl"]))


def cancel_waiting(store: Store, storage: str) -> list[str]:
    """Cancel what waits for a banned storage; the ids of the jobs it hit."""
    hit: list[str] = []
    for file in store.waiting((states.SUBMITTED, states.STAGING, states.ON_HOLD, states.ON_HOLD_STAGING)):
        if storage in names(file):
            store.cancel_files(file["job_id"], [file["file_id"]], f"Storage {storage} is banned")
            hit.append(file["job_id"])
    return list(dict.fromkeys(hit))


def refuse_user(store: Store, dn: str) -> None:
    """403 for a user who was banned."""
    if any(ban["name"] == dn for ban in store.bans("dn")):
        raise Refused(403, f"{dn} is banned")
