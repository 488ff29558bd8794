"""Delegation over REST: a request to sign, the signed proxy, its end, its removal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Flask, Response, jsonify, request

from . import rest
from .delegation import BadProxy
from .identity import Identity
from .submission import Refused

if TYPE_CHECKING:
    from .service import Service

Answer = Any


def add(app: Flask, service: Service) -> None:
    """Add the paths below /delegation."""

    def own(delegation_id: str) -> Identity:
        who = rest.known()
        if who.delegation_id != delegation_id:
            raise Refused(403, "The requested ID and the credentials ID do not match")
        return who

    @app.get("/delegation/<delegation_id>")
    def view(delegation_id: str) -> Answer:
        ends = service.delegation.termination(own(delegation_id))
        return jsonify({"termination_time": ends.strftime("%Y-%m-%dT%H:%M:%S"), "voms_attrs": [""]} if ends else None)

    @app.get("/delegation/<delegation_id>/request")
    def certificate_request(delegation_id: str) -> Answer:
        text = service.delegation.request(own(delegation_id))
        return Response(text, content_type="text/plain", headers={"X-Delegation-ID": delegation_id})

    @app.route("/delegation/<delegation_id>/credential", methods=["PUT", "POST"])
    def credential(delegation_id: str) -> Answer:
        try:
            service.delegation.accept(own(delegation_id), request.get_data())
        except BadProxy as error:
            raise Refused(400, str(error)) from error
        service.scheduler.wake()
        return Response("", 201)

    @app.delete("/delegation/<delegation_id>")
    def delete(delegation_id: str) -> Answer:
        if not service.delegation.forget(own(delegation_id)):
            raise Refused(404, "Delegated credentials not found")
        return Response("", 204)
