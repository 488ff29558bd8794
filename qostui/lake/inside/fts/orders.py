"""What a transfer child is told to do for a queued file (the requests of `transfer`). Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import links
from .submission import internal_param


def copy(file: Mapping[str, Any], token_files: Mapping[str, str], *, last: bool = True) -> dict[str, Any]:
    """What a child is told to do for a queued file; `last` is False for all hops of a path but the last."""
    flag, retry = file["of_overwrite_flag"], file["retry"]
    hop = flag in ("M", "Q") and not last
    params = file["of_internal_job_params"]
    third = links.third_party(file["source_surl"], file["dest_surl"])
    return {
        "op": "copy",
        "source": file["source_surl"],
        "destination": file["dest_surl"],
        "checksum": file["checksum"] or "ADLER32",
        "verify": {"b": "both", "s": "source", "t": "target"}.get(file["of_verify_checksum"], "none"),
        "filesize": file["user_filesize"] or 0,
        "overwrite": flag == "Y" or (flag == "R" and retry > 0) or hop,
        "overwrite_on_disk": flag in ("D", "Q"),
        "report": bool(file["of_dst_file_report"]),
        "strict": internal_param(params, "strict") is not None,
        "timeout": int(internal_param(params, "timeout") or 0),
        "streams": int(internal_param(params, "nostreams") or 0),
        "third_party": third,
        "release": file["bringonline_token"],
        "source_token_file": token_files.get(file["src_token_id"] or ""),
        "destination_token_file": token_files.get(file["dst_token_id"] or ""),
    }
