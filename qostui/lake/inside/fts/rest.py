"""What all parts of the REST interface share: who speaks, errors as FTS writes them, bodies and query arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Response, g, jsonify, request

from . import shapes
from .identity import Identity
from .submission import Refused

if TYPE_CHECKING:
    from .service import Service

MOST_JOBS = 500
_NAMES = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 409: "Conflict",
    413: "Request Entity Too Large", 419: "Authentication Timeout", 500: "Internal Server Error",
}  # fmt: skip


def problem(status: int, message: str, name: str = "") -> tuple[Response, int]:
    """An error as FTS writes it."""
    return jsonify(status=f"{status} {_NAMES.get(status, name)}", message=message), status


def known() -> Identity:
    """Who speaks, if it is somebody; else 403 as FTS answers anonymous requests."""
    if not g.who.known:
        raise Refused(403, "Not enough permissions")
    who: Identity = g.who
    return who


def privileged() -> Identity:
    """Who speaks, if that is the robot; else 403."""
    who = known()
    if not who.privileged:
        raise Refused(403, "Not enough permissions")
    return who


def document() -> Any:
    """The JSON body; 400 when it is none."""
    made = request.get_json(force=True, silent=True)
    if made is None:
        raise Refused(400, "Badly formatted JSON request")
    return made


def seen(service: Service, job_id: str, *, to_steer: bool = False) -> dict[str, Any]:
    """A job that whoever speaks may see, or may cancel when it is `to_steer`; 404 or 403 otherwise."""
    job = service.store.job(job_id)
    no = refusal(job, job_id, to_steer=to_steer)
    if job is None or no:
        no = no or shapes.not_found(job_id)
        raise Refused(int(no["http_status"][:3]), no["http_message"])
    return job


def refusal(job: dict[str, Any] | None, job_id: str, *, to_steer: bool = False) -> dict[str, Any] | None:
    """What is said about a job instead of showing or steering it: nobody knows it, or it is somebody else's."""
    if job is not None and (g.who.may_steer(job) if to_steer else g.who.may_see):
        return None
    if not g.who.known:
        return shapes.forbidden(job_id)
    return shapes.not_found(job_id) if job is None else shapes.forbidden(job_id)


def ids_in(text: str) -> list[str]:
    """The words of a comma separated list."""
    return [each for each in text.split(",") if each]


def words(name: str) -> list[str]:
    """The words of a query argument."""
    return ids_in(request.args.get(name, ""))


def limit() -> int | None:
    """The query argument `limit`; 400 beyond what FTS allows."""
    text = request.args.get("limit")
    if not text:
        return None
    if not text.isdigit() or int(text) > MOST_JOBS:
        raise Refused(400, f"The limit must be positive and less or equal than {MOST_JOBS}")
    return int(text)


def window() -> float | None:
    """`hours` or `hours:minutes` in seconds."""
    hours, _, minutes = request.args.get("time_window", "").partition(":")
    return int(hours) * 3600.0 + int(minutes or 0) * 60.0 if hours.isdigit() and (minutes or "0").isdigit() else None
