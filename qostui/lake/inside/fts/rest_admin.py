"""Bans and settings over REST: what an FTS administrator does, here the robot."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, jsonify, request

from . import bans, rest, states
from .submission import Refused

if TYPE_CHECKING:
    from .service import Service

_STATUSES = ("CANCEL", "WAIT", "WAIT_AS")
_LINK_DEFAULTS = {"min_active": 2, "max_active": 4, "nostreams": 0, "optimizer_mode": 1}
Answer = Any


def add(app: Flask, service: Service) -> None:
    """Add the paths /ban, /config, /optimizer, /status and /archive."""
    _bans(app, service)
    _settings(app, service)


def _bans(app: Flask, service: Service) -> None:
    @app.get("/ban/se")
    def banned_storages() -> Answer:
        rest.known()
        shown = [
            {"se": ban["name"], **{name: ban[name] for name in ("addition_time", "vo", "message", "admin_dn", "status")}}
            for ban in service.store.bans("se")
        ]
        return jsonify(shown)

    @app.post("/ban/se")
    def ban_storage() -> Answer:
        who, given = rest.privileged(), _fields()
        storage, status = _text(given, "storage"), str(given.get("status") or "CANCEL").upper()
        if status not in _STATUSES:
            raise Refused(400, "status can only be CANCEL, WAIT or WAIT_AS")
        timeout = int(given.get("timeout") or 0)
        if timeout < 0 or (timeout and status == "CANCEL"):
            raise Refused(400, "timeout must be positive, and goes with WAIT or WAIT_AS only")
        wait_until = int(time.time() + timeout) if timeout else None
        service.store.ban(
            "se",
            storage,
            vo=given.get("vo_name") or who.vo,
            status=status,
            message=given.get("message") or "",
            admin_dn=who.dn,
            wait_until=wait_until,
        )
        return jsonify(bans.cancel_waiting(service.store, storage) if status == "CANCEL" else [])

    @app.delete("/ban/se")
    def unban_storage() -> Answer:
        rest.privileged()
        storage = _text(request.args, "storage")
        service.store.unban("se", storage)
        for file in service.store.waiting((states.ON_HOLD, states.ON_HOLD_STAGING)):
            if storage in bans.names(file):
                state = states.SUBMITTED if file["file_state"] == states.ON_HOLD else states.STAGING
                service.store.change(file["file_id"], (file["file_state"],), file_state=state)
        service.scheduler.wake()
        return Response("", 204)

    @app.get("/ban/dn")
    def banned_users() -> Answer:
        rest.known()
        return jsonify(
            [
                {"dn": ban["name"], **{name: ban[name] for name in ("message", "addition_time", "admin_dn")}}
                for ban in service.store.bans("dn")
            ]
        )

    @app.post("/ban/dn")
    def ban_user() -> Answer:
        who, given = rest.privileged(), _fields()
        dn = _text(given, "user_dn")
        if dn == who.dn:
            raise Refused(409, "The user tried to ban (her|his)self")
        service.store.ban("dn", dn, vo=who.vo, status="CANCEL", message=given.get("message") or "", admin_dn=who.dn, wait_until=None)
        hit = [job["job_id"] for job in service.store.jobs(equal={"user_dn": dn})]
        for job_id in hit:
            service.scheduler.drop(service.store.cancel_files(job_id, None, "User banned"))
        return jsonify(hit)

    @app.delete("/ban/dn")
    def unban_user() -> Answer:
        rest.privileged()
        service.store.unban("dn", _text(request.args, "user_dn"))
        return Response("", 204)


def _settings(app: Flask, service: Service) -> None:
    @app.get("/config/se")
    def storages() -> Answer:
        rest.known()
        kept, wanted = service.store.settings("se"), request.args.get("se")
        return jsonify({wanted: kept[wanted]} if wanted in kept else {} if wanted else kept)

    @app.post("/config/se")
    def set_storages() -> Answer:
        rest.privileged()
        answers: list[Any] = []
        for storage, given in _fields().items():
            if not isinstance(given, dict) or not isinstance(given.get("se_info") or {}, dict):
                raise Refused(400, f"Malformed configuration of {storage}")
            kept = service.store.settings("se").get(storage) or {"se_info": {}, "operations": {}}
            info = {name: value for name, value in (given.get("se_info") or {}).items() if value is not None}
            kept["se_info"] |= info
            kept["operations"] |= given.get("operations") or {}
            service.store.set_setting("se", storage, kept)
            answers += [{"storage": storage, **info}, given.get("operations") or None]
        return jsonify(answers)

    @app.get("/config/links")
    def links() -> Answer:
        rest.known()
        return jsonify(list(service.store.settings("link").values()))

    @app.get("/config/links/<name>")
    def link(name: str) -> Answer:
        rest.known()
        kept = service.store.settings("link")
        if name not in kept:
            raise Refused(404, "Link does not exist")
        return jsonify(kept[name])

    @app.post("/config/links")
    def set_link() -> Answer:
        rest.privileged()
        given = _fields()
        made = {name: _text(given, name) for name in ("source", "destination", "symbolicname")}
        try:
            numbers = {name: int(given.get(name, default)) for name, default in _LINK_DEFAULTS.items()}
        except (TypeError, ValueError) as error:
            raise Refused(400, "min_active, max_active, nostreams and optimizer_mode are numbers") from error
        if not 0 < numbers["min_active"] <= numbers["max_active"]:
            raise Refused(400, "max_active must be at least min_active, and both above 0")
        service.store.set_setting("link", made["symbolicname"], {**made, **numbers})
        service.scheduler.wake()
        return jsonify({**made, **numbers}), 201

    fixed: dict[str, object] = {
        "/config/shares": [], "/config/global": {}, "/config/activity_shares": {}, "/config/fixed": [], "/config/authorize": [],
        "/optimizer": True, "/optimizer/current": [], "/optimizer/evolution": [], "/status/hosts": {}, "/archive": {"_links": {}},
    }  # fmt: skip
    for path, answer in fixed.items():
        app.add_url_rule(path, path, _fixed(answer))


def _fixed(answer: object) -> Any:
    def view() -> Answer:
        rest.known()
        return jsonify(answer)

    return view


def _fields() -> dict[str, Any]:
    made = rest.document()
    if not isinstance(made, dict):
        raise Refused(400, "Badly formatted JSON request")
    return made


def _text(given: Any, name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise Refused(400, f"Missing {name} parameter")
    return value
