"""WebDAV by our own HTTP, to ask a door whether it lets a credential in.

gfal2 2.21.3 (davix 0.8) follows a redirect to any other host and shows it the token and the client certificate too (seen): fit for a
storage that sends its clients on to its pools, not for finding out who may see a credential. OriginSession stays within the origin.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, closing
from threading import Event, Timer
from urllib.parse import quote, urlsplit

from ..domain.errors import Problem
from ..domain.rse import Door
from ..services.feeds import Cancel, Cancelled
from . import gfal_errors
from .gfal import CERTIFICATE, PROXY, TOKEN, Bearing, memory_file
from .http import OriginSession

LISTED = 207
_BODY = b'<?xml version="1.0"?><D:propfind xmlns:D="DAV:"><D:prop><D:resourcetype/></D:prop></D:propfind>'


def list_once(door: Door, shown: Bearing, verify: str | bool, time_limit_s: float, cancel: Cancel) -> None:
    """Ask for a listing of the door's prefix (PROPFIND, depth 1; RFC 4918) and read no further than its status.

    A stat (depth 0) would not do: XrdHttp answers that to anyone. Raises Problem, and Cancelled.
    """
    address = door.address
    url = f"https://{urlsplit(address).netloc}{quote(door.prefix)}"
    session = OriginSession((url,), verify, "the door")
    too_late = Event()

    def end() -> None:
        too_late.set()
        session.end()

    late = Timer(time_limit_s, end)
    late.daemon = True
    cancel.closes(session.end)
    headers = {"Depth": "1", "Content-Type": "application/xml"}
    with ExitStack() as stack:
        stack.callback(session.close)
        stack.callback(late.cancel)
        certificate = None
        if shown.kind == TOKEN and shown.content is not None:
            headers["Authorization"] = f"Bearer {shown.content.reveal()}"
        elif shown.kind in (PROXY, CERTIFICATE) and shown.content is not None:
            file = memory_file(shown.content)
            stack.callback(os.close, file)
            certificate = f"/proc/self/fd/{file}"
        late.start()
        try:
            with closing(session.request("PROPFIND", url, data=_BODY, headers=headers, cert=certificate, stream=True)) as answer:
                status = answer.status_code
        except Problem:
            if not cancel.wanted:
                raise Cancelled from None
            if too_late.is_set():
                raise gfal_errors.problem(address, gfal_errors.NO_ANSWER, "") from None
            raise
    if status != LISTED:
        raise gfal_errors.problem(address, 0, f"HTTP {status}")
