"""The WLCG Tape REST API v1 of the lake's tape storage (service `tape`).

Who may do what: a certificate of the lake with full storage rights may stage, cancel and release, any other may look;
a bearer token of the lake's issuer needs `storage.stage` for the path, and to look `storage.read` will do. A stage
request belongs to who made it.
"""

from __future__ import annotations

import argparse
import json
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, jsonify, request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from . import topology
from .state import Facts, State, issuer, storage_audience, url
from .tape_stage import Request, Shelf, Wanted, shelf, storage_path, tape_server
from .xrootd_conf import TAPE_DOCUMENT, tape_document

BASE_PATH = "/data"
"""What token paths are relative to, as in the storage's scitokens.cfg."""
MOST_FILES = 1000
LEEWAY_SECONDS = 30
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.\d*)?S)?)?")
_UNITS = (86400, 3600, 60, 1)


class Refused(Exception):
    """An answer other than 2xx: HTTP status, and what RFC 7807 calls title and detail."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail


@dataclass(frozen=True)
class Caller:
    """Who asks: `owner` names them in the record; rights are path prefixes of the storage."""

    owner: str
    stage: tuple[str, ...]
    look: tuple[str, ...]

    def check(self, paths: list[str], rights: tuple[str, ...]) -> None:
        """Raises Refused(403) for the first path that is outside of `rights`."""
        for path in paths:
            if not any(path == prefix or path.startswith(prefix.rstrip("/") + "/") for prefix in rights):
                raise Refused(403, "Forbidden", f"{self.owner} may not do this with {path}")


def make_app(state: State, facts: Facts, client_dn: Callable[[dict[str, Any]], str | None], record: Shelf | None = None) -> Flask:
    """The WSGI application; `client_dn` gives the DN of a verified client certificate from the WSGI environment."""
    app = Flask("tape")
    app.url_map.strict_slashes = False
    app.config["MAX_CONTENT_LENGTH"] = 4 * 1024 * 1024
    held = record or shelf(state)

    @app.before_request
    def authenticate() -> None:
        if request.path != TAPE_DOCUMENT:
            g.caller = _caller(state, facts, client_dn(request.environ))

    @app.get(TAPE_DOCUMENT)
    def document() -> Response:
        return jsonify(tape_document(facts, tape_server()))

    @app.errorhandler(Refused)
    def refuse(problem: Refused) -> Response:
        body = {"type": "about:blank", "title": problem.title, "status": problem.status, "detail": problem.detail}
        answer = Response(json.dumps(body), problem.status, mimetype="application/problem+json")
        if problem.status == 401:
            answer.headers["WWW-Authenticate"] = "Bearer"
        return answer

    @app.post("/api/v1/archiveinfo")
    def archiveinfo() -> Response:
        wanted = _paths(_body().get("paths"))
        caller: Caller = g.caller
        caller.check([path for _, path in wanted], caller.look)
        answer = []
        for given, path in wanted:
            where = held.locality(path)
            answer.append({"path": given, "locality": where} if where else {"path": given, "error": "no such file"})
        return jsonify(answer)

    @app.post("/api/v1/stage")
    def stage() -> Response:
        files = _body().get("files")
        if not isinstance(files, list) or not files or not all(isinstance(file, dict) for file in files):
            raise Refused(400, "Bad request", "'files' must be a list of objects with a 'path'")
        wanted = [path for _, path in _paths([file.get("path") for file in files])]
        caller: Caller = g.caller
        caller.check(wanted, caller.stage)
        lifetimes = [_seconds(file.get("diskLifetime")) for file in files]
        identifier = str(uuid.uuid4())
        held.stage(identifier, caller.owner, zip(wanted, lifetimes, strict=True))
        answer = jsonify({"requestId": identifier})
        answer.status_code = 201
        answer.headers["Location"] = f"{url(facts, 'tape')}/api/v1/stage/{identifier}"
        return answer

    @app.get("/api/v1/stage/<identifier>")
    def look(identifier: str) -> Response:
        return jsonify(_shape(_own(held, identifier)))

    @app.post("/api/v1/stage/<identifier>/cancel")
    def cancel(identifier: str) -> Response:
        known = _own(held, identifier)
        wanted = [path for _, path in _paths(_body().get("paths"))]
        outside = [path for path in wanted if path not in {file.path for file in known.files}]
        if outside:
            raise Refused(400, "Bad request", f"{outside[0]} is not part of this request")
        held.cancel(identifier, wanted)
        return Response(status=200)

    @app.delete("/api/v1/stage/<identifier>")
    def forget(identifier: str) -> Response:
        known = _own(held, identifier)
        held.cancel(identifier, [file.path for file in known.files])
        held.forget(identifier)
        return Response(status=200)

    @app.post("/api/v1/release/<identifier>")
    def release(identifier: str) -> Response:
        wanted = [path for _, path in _paths(_body().get("paths"))]
        caller: Caller = g.caller
        caller.check(wanted, caller.stage)
        # Clients release under an id of their own when the request is forgotten: the paths decide.
        held.release(wanted)
        return Response(status=200)

    return app


def _caller(state: State, facts: Facts, distinguished_name: str | None) -> Caller:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer" and token:
        return _token_caller(state, facts, token.strip())
    for person in topology.PEOPLE:
        if person.certificate and topology.distinguished_name(person.name) == distinguished_name:
            everything = (BASE_PATH,)
            return Caller(distinguished_name, everything if person.storage == "a" else (), everything)
    if distinguished_name:
        raise Refused(403, "Forbidden", f"{distinguished_name} is not known here")
    raise Refused(401, "Unauthorized", "use a client certificate or a bearer token")


def _token_caller(state: State, facts: Facts, token: str) -> Caller:
    try:
        keys = KeySet.import_key_set(json.loads(state.jwks.read_text()))
        claims = jwt.decode(token, keys, algorithms=["ES256", "RS256"]).claims
        audiences = [storage_audience(facts, tape_server()), url(facts, "tape"), topology.WLCG_ANY_AUDIENCE]
        registry = jwt.JWTClaimsRegistry(
            now=int(time.time()),
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": issuer(facts)},
            aud={"essential": True, "values": audiences},
            exp={"essential": True},
            sub={"essential": True},
        )
        registry.validate(claims)
    except (JoseError, ValueError, OSError) as problem:
        raise Refused(401, "Unauthorized", f"the token is not accepted: {problem}") from None
    scopes = str(claims.get("scope", "")).split()
    staging = _prefixes(scopes, "storage.stage")
    return Caller(f"token {claims['sub']}", staging, staging + _prefixes(scopes, "storage.read"))


def _prefixes(scopes: list[str], right: str) -> tuple[str, ...]:
    found = []
    for scope in scopes:
        name, _, path = scope.partition(":")
        if name == right and path.startswith("/") and ".." not in path.split("/"):
            found.append((BASE_PATH + path).rstrip("/"))
    return tuple(found)


def _own(held: Shelf, identifier: str) -> Request:
    known = held.request(identifier)
    caller: Caller = g.caller
    if known is None:
        raise Refused(404, "Not found", f"no stage request {identifier}")
    if known.owner != caller.owner:
        raise Refused(403, "Forbidden", "this stage request is somebody else's")
    return known


def _body() -> dict[str, Any]:
    body = request.get_json(silent=True, force=True)
    if not isinstance(body, dict):
        raise Refused(400, "Bad request", "the body must be a JSON object")
    return body


def _paths(given: object) -> list[tuple[str, str]]:
    """(as given, in the storage's spelling) for each path; raises Refused."""
    if not isinstance(given, list) or not given or len(given) > MOST_FILES:
        raise Refused(400, "Bad request", f"'paths' must be a list of 1 to {MOST_FILES} paths")
    found = []
    for text in given:
        path = storage_path(text) if isinstance(text, str) else None
        if path is None:
            raise Refused(400, "Bad request", f"{text!r} is not a path below {BASE_PATH}")
        found.append((text, path))
    return found


def _seconds(duration: object) -> float | None:
    """Seconds of an ISO 8601 duration such as PT1H or P2D; None when not given; raises Refused."""
    if duration is None:
        return None
    matched = _DURATION.fullmatch(duration) if isinstance(duration, str) else None
    if matched is None or not any(matched.groups()):
        raise Refused(400, "Bad request", f"diskLifetime {duration!r} is not an ISO 8601 duration")
    return float(sum(int(count) * unit for count, unit in zip(matched.groups(), _UNITS, strict=True) if count))


def _shape(known: Request) -> dict[str, object]:
    answer: dict[str, object] = {"id": known.id, "createdAt": int(known.created), "startedAt": int(known.created)}
    answer["files"] = [_file(file) for file in known.files]
    ends = [file.finished for file in known.files]
    if all(end is not None for end in ends):
        answer["completedAt"] = int(max(end for end in ends if end is not None))
    return answer


def _file(file: Wanted) -> dict[str, object]:
    shape: dict[str, object] = {"path": file.path, "state": file.state, "onDisk": file.on_disk, "startedAt": int(file.started)}
    if file.finished is not None:
        shape["finishedAt"] = int(file.finished)
    if file.error:
        shape["error"] = file.error
    return shape


def main() -> None:
    """Serve until SIGTERM on the inherited socket."""
    from . import web

    parser = argparse.ArgumentParser(prog="inside.tape_rest")
    parser.add_argument("--state", type=Path, required=True)
    state = State(parser.parse_args().state)
    web.serve(make_app(state, state.read(), web.client_dn), state, client_certificates=True, threads=4)


if __name__ == "__main__":
    main()
