"""A scripted browser that says yes: it walks the provider's pages as a person would, and takes each page's first button."""

from __future__ import annotations

import ssl
import urllib.request
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode, urljoin

MOST_PAGES = 6
TIME_LIMIT_S = 20


@dataclass
class Form:
    """A form of a page: where it goes and what it sends."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)


class _Forms(HTMLParser):
    """Collects the forms of a page in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.found.append(Form(given.get("action") or ""))
        elif tag == "input" and self.found and given.get("name"):
            self.found[-1].fields[str(given["name"])] = given.get("value") or ""


def approve(address: str, *, ca: Path, login: str, password: str) -> str:
    """Open `address` (a `verification_uri_complete`), log in, allow; the text of the page at the end.

    Raises urllib.error.HTTPError for a wrong pass word (401) or code (404), AssertionError when the pages never end.
    """
    trusting = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(ca)))
    browser = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(CookieJar()), trusting)
    sent: bytes | None = None
    for _ in range(MOST_PAGES):
        with browser.open(address, sent, timeout=TIME_LIMIT_S) as answer:
            page, address = answer.read().decode(), answer.url
        forms = _Forms()
        forms.feed(page)
        if not forms.found:
            return page
        first = forms.found[0]
        if "password" in first.fields:
            first.fields.update(login=login, password=password)
        address, sent = urljoin(address, first.action), urlencode(first.fields).encode()
    raise AssertionError(f"{MOST_PAGES} pages and still a form at {address}")
