"""From a submitted JSON document to the rows of one job: defaults, checks and refusals as FTS makes them.

Field names and texts as in FTS's submission schema and its recorded refusals. Standard library only.
"""

from __future__ import annotations

import hashlib
import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import links, shapes, states

BASE_ID = uuid.UUID("01874efb-4735-4595-bc9c-591aef8240c9")
"""Name space of FTS's deterministic job ids; Rucio reads it from /whoami and computes the same id."""
_DEFAULTS: Mapping[str, Any] = {
    "bring_online": -1,
    "copy_pin_lifetime": -1,
    "archive_timeout": -1,
    "verify_checksum": False,
    "overwrite": False,
    "overwrite_on_retry": False,
    "overwrite_hop": False,
    "overwrite_when_only_on_disk": False,
    "reuse": None,
    "multihop": False,
    "retry": 0,
    "retry_delay": 0,
    "priority": 3,
    "max_time_in_queue": None,
    "dst_file_report": False,
    "strict_copy": False,
}
_CHECKSUM_MODES = {"b": "both", "s": "source", "t": "target", "n": "none"}
_STRATEGIES = frozenset(
    {
        "orderly",
        "auto",
        "queue",
        "success",
        "throughput",
        "file-throughput",
        "pending-data",
        "waiting-time",
        "waiting-time-with-error",
        "duration",
    }
)
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600}
_NUMBERS = {"nostreams": "nostreams", "timeout": "timeout", "buffer_size": "buffersize"}
_WORDS = {"strict_copy": "strict", "disable_cleanup": "disable-cleanup", "ipv4": "ipv4", "ipv6": "ipv6", "s3alternate": "s3alternate"}
_METADATA_LIMIT = 1 << 20


class Refused(Exception):
    """A submission that FTS would not take: HTTP status and FTS's text."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass
class Submission:
    """The rows of one new job. `tokens` maps a token id to the token: never stored among the rows."""

    job: dict[str, Any]
    files: list[dict[str, Any]]
    tokens: dict[str, str] = field(default_factory=dict)


def job_id(params: Mapping[str, Any], vo: str) -> str:
    """A new id, or the one that follows from the caller's `sid` when it asks for deterministic ids."""
    if params.get("id_generator") == "deterministic":
        sid = params.get("sid")
        if not sid:
            raise Refused(400, "Need sid for deterministic id generation")
        return str(uuid.uuid5(uuid.uuid5(BASE_ID, vo), str(sid)))
    return str(uuid.uuid1())


def token_id(token: str) -> str:
    """A name for a token that gives nothing of it away."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]


def build(
    document: object,
    *,
    user_dn: str,
    vo: str,
    cred_id: str,
    method: str,
    now: float,
    endpoint: Callable[[str], str],
    host: str,
    allow_local: bool = False,
    queued: Callable[[str, str], int] = lambda source, destination: 0,
) -> Submission:
    """The job and its files for a submitted `document`.

    `endpoint` names the storage of a URL; `queued` counts what waits between two endpoints and ranks several sources.
    Raises Refused.
    """
    entries, params = _parts(document)
    job_type = states.MULTIHOP if params["multihop"] else states.REUSE if _flag(params["reuse"]) else states.NORMAL
    staging = _number(params, "copy_pin_lifetime") > 0 or _number(params, "bring_online") > 0
    first_state = states.STAGING if staging else states.SUBMITTED
    identifier = job_id(params, vo)
    tokens: dict[str, str] = {}
    files: list[dict[str, Any]] = []
    shared = random.randrange(1 << 16)
    for index, entry in enumerate(entries):
        rows = _file_rows(entry, index, endpoint=endpoint, allow_local=allow_local, tokens=tokens)
        several = len(rows) > 1
        for row in rows:
            row |= {"job_id": identifier, "vo_name": vo, "priority": _priority(params)}
            row["file_state"] = states.NOT_USED if several or job_type == states.MULTIHOP else first_state
            row["hashed_id"] = shared if several or staging or job_type != states.NORMAL else random.randrange(1 << 16)
        files += rows
    if not files:
        raise Refused(400, "No valid pairs available")
    if len(files) > len(entries):
        if job_type != states.NORMAL:
            raise Refused(400, "Can not request multiple replica job together with multihop or session reuse at the same time")
        if len(entries) > 1:
            raise Refused(400, "Multiple replica jobs must only have one unique file")
        job_type = states.REPLICAS
        files.sort(key=_rank(files[0]["selection_strategy"], queued))
    if job_type in (states.MULTIHOP, states.REPLICAS):
        files[0]["file_state"] = first_state
    checksum_mode = _checksum_mode(params["verify_checksum"], files)
    expires = _seconds(params["max_time_in_queue"])
    metadata = params.get("job_metadata")
    job = {
        "job_id": identifier,
        "job_state": first_state,
        "job_type": job_type,
        "job_metadata": {**(metadata if isinstance(metadata, dict) else {"label": metadata} if metadata else {}), "auth_method": method},
        "submit_time": shapes.utc(now),
        "submit_host": host,
        "user_dn": user_dn,
        "vo_name": vo,
        "cred_id": cred_id,
        "source_se": _same([files[0]] if job_type == states.MULTIHOP else files, "source_se"),
        "dest_se": _same([files[-1]] if job_type == states.MULTIHOP else files, "dest_se"),
        "priority": _priority(params),
        "retry": max(0, _number(params, "retry")),
        "retry_delay": max(0, _number(params, "retry_delay")),
        "overwrite_flag": _overwrite_flag(params, job_type, files),
        "verify_checksum": checksum_mode,
        "bring_online": _number(params, "bring_online"),
        "copy_pin_lifetime": _number(params, "copy_pin_lifetime"),
        "archive_timeout": _number(params, "archive_timeout"),
        "dst_file_report": _flag(params["dst_file_report"]),
        "max_time_in_queue": int(now + expires) if expires else None,
        "internal_job_params": _internal_params(params),
        "source_spacetoken": params.get("source_spacetoken") or None,
        "destination_spacetoken": params.get("destination_spacetoken") or params.get("spacetoken") or None,
    }
    return Submission(job, files, tokens)


def _parts(document: object) -> tuple[list[Mapping[str, Any]], dict[str, Any]]:
    if not isinstance(document, Mapping):
        raise Refused(400, "Invalid submission: a JSON object was expected")
    if "files" not in document:
        raise Refused(400, "No transfers operations specified")
    entries = document["files"]
    given = document.get("params") or {}
    if not isinstance(given, Mapping):
        raise Refused(400, "Invalid value within the request: params is not an object")
    if not isinstance(entries, Sequence) or isinstance(entries, str) or not all(isinstance(each, Mapping) for each in entries):
        raise Refused(400, "Invalid value within the request: files is not a list of objects")
    params = {**_DEFAULTS, **{name: value for name, value in given.items() if value is not None}}
    return list(entries), params


def _file_rows(
    entry: Mapping[str, Any], index: int, *, endpoint: Callable[[str], str], allow_local: bool, tokens: dict[str, str]
) -> list[dict[str, Any]]:
    sources, destinations = _urls(entry, "sources", allow_local), _urls(entry, "destinations", allow_local)
    source_tokens, destination_tokens = _tokens(entry, "source_tokens", sources), _tokens(entry, "destination_tokens", destinations)
    if bool(source_tokens) != bool(destination_tokens):
        raise Refused(400, "Both source_tokens and destination_tokens are required if one of them is present.")
    for token in (*source_tokens, *destination_tokens):
        tokens[token_id(token)] = token
    strategy = entry.get("selection_strategy") or "auto"
    if strategy not in _STRATEGIES:
        raise Refused(400, f"{strategy} algorithm is not supported by Scheduler")
    size = entry.get("filesize") or 0
    if isinstance(size, bool) or not isinstance(size, int | float) or size < 0:
        raise Refused(400, f"Invalid value within the request: filesize ({size!r})")
    for name in ("metadata", "staging_metadata", "archive_metadata"):
        if len(str(entry.get(name) or "")) > _METADATA_LIMIT:
            raise Refused(400, f"{name} is too long")
    common = {
        "file_index": index,
        "user_filesize": int(size),
        "filesize": int(size),
        "checksum": _checksum(entry.get("checksum")),
        "activity": entry.get("activity") or "default",
        "selection_strategy": strategy,
        "file_metadata": entry.get("metadata"),
        "staging_metadata": entry.get("staging_metadata"),
        "archive_metadata": entry.get("archive_metadata"),
        "scitag": entry.get("scitag"),
    }
    return [
        {
            **common,
            "source_surl": source,
            "dest_surl": destination,
            "source_se": links.storage_element(source),
            "dest_se": links.storage_element(destination),
            "source_end": endpoint(source),
            "dest_end": endpoint(destination),
            "src_token_id": token_id(source_tokens[one]) if source_tokens else None,
            "dst_token_id": token_id(destination_tokens[other]) if destination_tokens else None,
        }
        for one, source in enumerate(sources)
        for other, destination in enumerate(destinations)
    ]


def _urls(entry: Mapping[str, Any], name: str, allow_local: bool) -> list[str]:
    given = entry.get(name)
    if not isinstance(given, list) or not all(isinstance(url, str) for url in given):
        raise Refused(400, f"Invalid value within the request: {name} is not a list of URLs")
    try:
        return [links.checked(url, allow_local=allow_local) for url in given]
    except links.BadUrl as error:
        raise Refused(400, str(error)) from error


def _tokens(entry: Mapping[str, Any], name: str, urls: list[str]) -> list[str]:
    given = entry.get(name) or []
    if not isinstance(given, list) or not all(isinstance(token, str) and token for token in given):
        raise Refused(400, f"Invalid value within the request: {name} is not a list of tokens")
    if given and len(given) != len(urls):
        raise Refused(400, f"Length of {name} should be equal to the length of {name.split('_')[0]}s.")
    return given


def _checksum(given: object) -> str:
    """`ALGORITHM:value` or `ALGORITHM`; FTS puts ADLER32 where nothing is said."""
    text = str(given).strip() if given else ""
    return text if text else "ADLER32"


def _checksum_mode(given: object, files: Sequence[Mapping[str, Any]]) -> str:
    """`b`oth, `s`ource, `t`arget or `n`one; a value without a mode is checked at the target."""
    if isinstance(given, str):
        letter = given[:1].lower()
        if letter not in _CHECKSUM_MODES:
            raise Refused(400, f"Invalid value within the request: verify_checksum ({given})")
        return letter
    if given:
        return "b"
    return "t" if any(":" in file["checksum"] for file in files) else "n"


def _overwrite_flag(params: Mapping[str, Any], job_type: str, files: Sequence[Mapping[str, Any]]) -> str | None:
    """Y always, R on FTS's own retries, M all hops but the last, D while only on disk, Q both M and D."""
    always, again = _flag(params["overwrite"]), _flag(params["overwrite_on_retry"])
    hops, on_disk = _flag(params["overwrite_hop"]), _flag(params["overwrite_when_only_on_disk"])
    if sum((always, again, hops, on_disk)) > 1 and not (hops and on_disk and not always and not again):
        raise Refused(400, "Incompatible overwrite flags used at the same time")
    if hops and job_type != states.MULTIHOP:
        raise Refused(400, "'overwrite-hop' requires multihop job submission")
    if on_disk:
        if _number(params, "archive_timeout") <= 0:
            raise Refused(400, "'overwrite-when-only-on-disk' requires 'archive-timeout' to be set")
        if not str(files[-1]["dest_surl"]).startswith(("https://", "davs://", "mock://")):
            raise Refused(400, "'overwrite-when-only-on-disk' requires destination to be HTTPs endpoint (Tape REST API required)")
    if hops and on_disk:
        return "Q"
    return "Y" if always else "R" if again else "M" if hops else "D" if on_disk else None


def _rank(strategy: str, queued: Callable[[str, str], int]) -> Callable[[dict[str, Any]], int]:
    """Order of several sources: as given when `orderly`, else the link with the shortest queue first."""
    if strategy == "orderly":
        return lambda file: 0
    return lambda file: queued(file["source_end"], file["dest_end"])


def _internal_params(params: Mapping[str, Any]) -> str | None:
    parts = [f"{ours}:{_number(params, name)}" for name, ours in _NUMBERS.items() if params.get(name)]
    parts += [word for name, word in _WORDS.items() if _flag(params.get(name))]
    return ",".join(parts) or None


def internal_param(text: str | None, name: str) -> str | None:
    """One value of an `internal_job_params` text; a bare word gives itself."""
    for part in (text or "").split(","):
        key, _, value = part.partition(":")
        if key == name:
            return value or key
    return None


def _same(files: Sequence[Mapping[str, Any]], name: str) -> str | None:
    values = {file[name] for file in files}
    return str(values.pop()) if len(values) == 1 else None


def _priority(params: Mapping[str, Any]) -> int:
    return max(min(_number(params, "priority"), 5), 1)


def _number(params: Mapping[str, Any], name: str) -> int:
    try:
        return int(params[name])
    except (TypeError, ValueError) as error:
        raise Refused(400, f"Invalid value within the request: {name} ({params[name]!r})") from error


def _flag(value: object) -> bool:
    return value[:1].upper() == "Y" if isinstance(value, str) else bool(value)


def _seconds(value: object) -> int | None:
    """An interval: a number is hours, a text has a suffix s, m or h (FTS's `max_time_in_queue`)."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value * 3600
    if isinstance(value, str) and value[:-1].isdigit() and value[-1:].lower() in _UNIT_SECONDS:
        return int(value[:-1]) * _UNIT_SECONDS[value[-1].lower()]
    return None
