"""FTS's REST interface: who am I, jobs and their files. The rest is in `rest_admin` and
`rest_delegation`.

Paths, statuses and texts as recorded from FTS 3.13.3; where FTS sends HTML (its settings pages) this sends JSON.
"""

from __future__ import annotations

import ssl
import time
import uuid
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, abort, g, jsonify, request
from werkzeug.exceptions import HTTPException

from ..web import client_dn
from . import bans, links, logs, rest, rest_admin, rest_delegation, shapes, states, submission
from .identity import ANONYMOUS, CERTIFICATE, Bearers, Identity, NotAccepted
from .service import Service
from .submission import BASE_ID, Refused

_BODY_LIMIT = 32 << 20
_LEAST_LEFT = 60.0
"""Seconds a delegated proxy must still hold to take a job (FTS: an hour, which a lake's short proxies seldom have)."""
Answer = Any


def identify(bearers: Bearers) -> Identity:
    """Who speaks in the request at hand; raises NotAccepted."""
    dn = client_dn(request.environ)
    if dn:
        return Identity(dn, CERTIFICATE)
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return ANONYMOUS
    if not bearers.available:
        abort(_unsupported_method())
    return bearers.identity(token.strip())


def make(service: Service, *, who: Callable[[Bearers], Identity] = identify) -> Flask:
    """The WSGI application. `who` tells who speaks: by default from TLS and headers."""
    app = Flask("fts")
    app.config["MAX_CONTENT_LENGTH"] = _BODY_LIMIT
    app.json.sort_keys = False

    @app.before_request
    def _identify() -> None:
        g.who = who(service.bearers)

    @app.errorhandler(HTTPException)
    def _http(error: HTTPException) -> Answer:
        if error.response is not None:
            return error.response
        return rest.problem(error.code or 500, error.description or "", error.name)

    @app.errorhandler(Refused)
    @app.errorhandler(NotAccepted)
    def _refused(error: Refused | NotAccepted) -> Answer:
        return rest.problem(error.status, error.message)

    @app.errorhandler(Exception)
    def _broken(error: Exception) -> Answer:
        app.logger.exception("%s %s", request.method, request.path)
        return rest.problem(500, "The server encountered an internal error and was unable to complete your request.")

    _root(app, service)
    _jobs(app, service)
    _files(app, service)
    rest_delegation.add(app, service)
    rest_admin.add(app, service)
    return app


def _root(app: Flask, service: Service) -> None:
    @app.get("/")
    def root() -> Answer:
        return jsonify(
            {
                "delegation": {"major": 1, "minor": 0, "patch": 0},
                "api": {"major": 3, "minor": 13, "patch": 4},
                "core": {"major": 3, "minor": 13, "patch": 3},
                "schema": {"major": 9, "minor": 1, "patch": 0, "message": "stand-in"},
                "_links": {
                    "fts:whoami": {"href": "/whoami", "title": "Check user certificate"},
                    "fts:joblist": {"href": "/jobs{?vo_name,user_dn,dlg_id,state_in}", "title": "List of active jobs", "templated": True},
                    "fts:job": {"href": "/jobs/{id}", "title": "Job information", "templated": True, "hints": {"allow": ["GET", "DELETE"]}},
                    "fts:jobsubmit": {"href": "/jobs", "hints": {"allow": ["POST"]}},
                    "qostui:log": {"href": "/jobs/{id}/files/{file_id}/log", "title": "Log text of a file", "templated": True},
                },
                "_qostui": {
                    "stand_in": True,
                    "text": "Not an FTS server: the stand-in of qostui's lake. It speaks FTS's REST and copies with gfal2.",
                    "lake": service.facts.id,
                    "ban_by": "scheme://host as FTS, or scheme://host:port: all storages of the lake are on one host",
                },
            }
        )

    @app.get("/whoami")
    def whoami() -> Answer:
        who: Identity = g.who
        vos = [who.vo] if who.known else []
        level: object = {"*": "all"} if who.privileged else {"transfer": "vo", "deleg": "all"} if who.known else []
        return jsonify(
            user_dn=who.dn,
            dn=[who.dn],
            base_id=str(BASE_ID),
            voms_cred=[],
            vos=vos,
            vos_id=[str(uuid.uuid5(BASE_ID, vo)) for vo in vos],
            roles=[],
            level=level,
            delegation_id=who.delegation_id if who.known else None,
            method=who.method,
            is_root=who.privileged,
        )

    @app.get("/whoami/certificate")
    def certificate() -> Answer:
        connection = request.environ.get("gunicorn.socket")
        encoded = connection.getpeercert(True) if hasattr(connection, "getpeercert") else None
        return Response(ssl.DER_cert_to_PEM_cert(encoded) if encoded else "", content_type="application/x-pem-file")


def _jobs(app: Flask, service: Service) -> None:
    @app.route("/jobs", methods=["POST", "PUT"])
    def submit() -> Answer:
        who = rest.known()
        bans.refuse_user(service.store, who.dn)
        made = submission.build(
            _with_tokens(rest.document(), who),
            user_dn=who.dn,
            vo=who.vo,
            cred_id=who.delegation_id,
            method=who.method,
            now=time.time(),
            endpoint=service.links.endpoint,
            host=service.host,
            allow_local=service.allow_local,
            queued=lambda source, destination: service.store.queued(source, destination),
        )
        _need_credential(service, who, made)
        bans.apply(service.store, made)
        service.credentials.keep_tokens(made.tokens)
        service.store.add(made)
        service.scheduler.wake()
        return jsonify(job_id=made.job["job_id"])

    @app.get("/jobs")
    def list_jobs() -> Answer:
        who = rest.known()
        wanted = request.args.get("dlg_id")
        if wanted and wanted != who.delegation_id and not who.privileged:
            raise Refused(403, "The provided delegation id does not match your delegation id")
        equal = {name: request.args[name] for name in ("user_dn", "vo_name", "source_se", "dest_se") if request.args.get(name)}
        if wanted:
            equal["cred_id"] = wanted
        found = service.store.jobs(equal=equal, state_in=rest.words("state_in"), window=rest.window(), limit=rest.limit())
        return jsonify([shapes.job(each, rest.words("fields") or shapes.JOB_FIELDS) for each in found])

    @app.get("/jobs/<ids>")
    def status(ids: str) -> Answer:
        fields = rest.words("files")
        answers = []
        for job_id in rest.ids_in(ids):
            job = service.store.job(job_id)
            answer = rest.refusal(job, job_id)
            if job is not None and answer is None:
                answer = {**shapes.job(job), "http_status": "200 Ok"}
                if fields:
                    answer["files"] = [shapes.file(each, fields) for each in service.store.files_of(job_id)]
            answers.append(answer)
        made, code = shapes.many([each for each in answers if each], asked=len(rest.ids_in(ids)))
        return jsonify(made), code

    @app.get("/jobs/<job_id>/<field>")
    def field(job_id: str, field: str) -> Answer:
        job = rest.seen(service, job_id)
        if field not in shapes.JOB_FIELDS:
            raise Refused(404, "No such field")
        return jsonify(shapes.job(job)[field])

    @app.delete("/jobs/<ids>")
    def cancel_jobs(ids: str) -> Answer:
        return _for_each(ids, lambda job_id: service.scheduler.drop(service.store.cancel_files(job_id, None)), files=False)

    @app.post("/jobs/<ids>")
    def modify(ids: str) -> Answer:
        try:
            priority = int((rest.document().get("params") or {}).get("priority") or 0)
        except (TypeError, ValueError, AttributeError) as error:
            raise Refused(400, "Invalid priority value") from error

        def change(job_id: str) -> None:
            if priority:
                service.store.set_priority(job_id, max(1, min(priority, 5)))

        return _for_each(ids, change, files=True)

    def _for_each(ids: str, act: Callable[[str], None], *, files: bool) -> Answer:
        answers: list[dict[str, Any]] = []
        for job_id in rest.ids_in(ids):
            job = service.store.job(job_id)
            refusal = rest.refusal(job, job_id, to_steer=True)
            if refusal or job is None:
                answers.append(refusal or {})
                continue
            final = job["job_state"] in states.JOB_FINAL
            if not final:
                act(job_id)
            answer = shapes.job(service.store.job(job_id) or job)
            if files:
                answer["files"] = [shapes.file(each) for each in service.store.files_of(job_id)]
            answer["http_status"] = "304 Not Modified" if final else "200 Ok"
            answer["http_message"] = "The job is in a terminal state" if final else None
            answers.append(answer)
        service.scheduler.wake()
        made, code = shapes.many(answers, asked=len(answers))
        return jsonify(made), code


def _files(app: Flask, service: Service) -> None:
    @app.get("/jobs/<job_id>/files")
    def files(job_id: str) -> Answer:
        rest.seen(service, job_id)
        return jsonify([shapes.file(each) for each in service.store.files_of(job_id)])

    @app.get("/jobs/<job_id>/files/<int:file_id>/retries")
    def retries(job_id: str, file_id: int) -> Answer:
        file = _file_of(job_id, file_id)
        return jsonify([shapes.retry(each, file) for each in service.store.retries_of(file_id)])

    @app.get("/jobs/<job_id>/files/<int:file_id>/log")
    def log(job_id: str, file_id: int) -> Answer:
        file = _file_of(job_id, file_id)
        names = [each["log_file"] for each in service.store.retries_of(file_id)] + [file["log_file"]]
        texts = [logs.read(service.log_directory, name) for name in dict.fromkeys(names) if name]
        if not any(text is not None for text in texts):
            raise Refused(404, "There is no log of this file: it has not been started, or the log was removed")
        return Response("".join(text for text in texts if text), content_type="text/plain; charset=utf-8")

    @app.delete("/jobs/<job_id>/files/<ids>")
    def cancel_files(job_id: str, ids: str) -> Answer:
        job = rest.seen(service, job_id, to_steer=True)
        if job["job_type"] != states.NORMAL:
            raise Refused(400, f"Multihop or reuse jobs must be cancelled at once ({job['job_type']})")
        wanted = [int(each) if each.isdigit() else -1 for each in rest.ids_in(ids)]
        service.scheduler.drop(service.store.cancel_files(job_id, wanted))
        now = {each["file_id"]: each["file_state"] for each in service.store.files_of(job_id)}
        answers = [now.get(each, "File does not belong to the job") for each in wanted]
        return jsonify(answers if len(answers) > 1 else answers[0])

    @app.get("/files")
    def list_files() -> Answer:
        rest.known()
        equal = {name: request.args[name] for name in ("source_se", "dest_se", "dest_surl", "vo_name") if request.args.get(name)}
        window = rest.window()
        since = time.time() - window if window is not None else None
        found = service.store.files(equal=equal, state_in=rest.words("state_in"), since=since, limit=rest.limit() or rest.MOST_JOBS)
        return jsonify([shapes.file(each, rest.words("fields") or shapes.FILE_FIELDS) for each in found])

    def _file_of(job_id: str, file_id: int) -> dict[str, Any]:
        rest.seen(service, job_id)
        file = service.store.file(file_id)
        if file is None or file["job_id"] != job_id:
            raise Refused(404, f'No file with the id "{file_id}" has been found')
        return file


def _need_credential(service: Service, who: Identity, made: submission.Submission) -> None:
    """419 when the job could not run as its owner."""
    if all(each["src_token_id"] or not links.needs_credential(each["source_surl"], each["dest_surl"]) for each in made.files):
        return
    if who.method != CERTIFICATE:
        raise Refused(400, "source_tokens and destination_tokens are required with token authentication")
    ends = service.delegation.termination(who)
    if ends is None and not who.privileged:
        raise Refused(419, f'No delegation found for "{who.dn}"')
    if ends is not None and ends.timestamp() - time.time() < _LEAST_LEFT:
        if who.privileged:
            service.delegation.forget(who)
            return
        raise Refused(419, f"The delegated credentials expired or are about to ({who.delegation_id})")


def _with_tokens(made: Any, who: Identity) -> Any:
    """With one token for all, FTS uses the one that submits for the storages too."""
    if who.method == CERTIFICATE or not isinstance(made, dict) or not isinstance(made.get("files"), list):
        return made
    entries = [each for each in made["files"] if isinstance(each, dict)]
    if any("source_tokens" in each or "destination_tokens" in each for each in entries):
        return made
    token = request.headers["Authorization"].partition(" ")[2].strip()
    for each in entries:
        for urls, tokens in (("sources", "source_tokens"), ("destinations", "destination_tokens")):
            if isinstance(each.get(urls), list):
                each[tokens] = [token] * len(each[urls])
    return made


def _unsupported_method() -> Response:
    text = (
        '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">\n<title>400 Bad Request</title>\n'
        "<h1>Bad Request</h1>\n<p>Unsupported authentication method: method=OAuth2</p>\n"
    )
    return Response(text, 400, content_type="text/html; charset=utf-8")
