"""The pages people see, as plain HTML: nothing is loaded from elsewhere, no script, every value escaped."""

from __future__ import annotations

import base64
import hashlib

from markupsafe import Markup

from . import scopes

_STYLE = Markup("""
:root{color-scheme:light dark;--line:#8884;--accent:#0b6e4f}
body{font:16px/1.5 system-ui,sans-serif;margin:0;display:grid;min-height:100vh;place-items:center}
main{box-sizing:border-box;width:min(30rem,100vw);padding:1.5rem;border:1px solid var(--line);border-radius:.5rem}
h1{font-size:1.25rem;margin:0 0 .75rem}
label{display:block;margin:.75rem 0 .25rem}
input[type=text],input[type=password]{box-sizing:border-box;width:100%;padding:.5rem;font:inherit}
button{font:inherit;padding:.5rem 1.25rem;margin:1rem .5rem 0 0;cursor:pointer}
button.yes{background:var(--accent);color:#fff;border:0;border-radius:.25rem}
form.beside{display:inline}
.code{font:600 1.5rem/2 monospace;letter-spacing:.1em}
.problem{border-left:.25rem solid #b3261e;padding-left:.75rem}
.refused{opacity:.7}
li code{font-size:.85em}
footer{margin-top:1.5rem;font-size:.8rem;opacity:.7}
""")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
SECURITY_HEADERS: dict[str, str] = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'; base-uri 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def _page(title: str, *body: Markup) -> str:
    return Markup(
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        "<title>{title} - qostui lake</title><style>{style}</style></head><body><main><h1>{title}</h1>{body}"
        "<footer>Identity provider of a qostui lake on this machine</footer></main></body></html>\n"
    ).format(title=title, style=_STYLE, body=Markup("\n").join(body))


def _problem(text: str) -> Markup:
    return Markup('<p class="problem" role="alert">{}</p>').format(text) if text else Markup("")


def _hidden(name: str, value: str) -> Markup:
    return Markup('<input type="hidden" name="{}" value="{}">').format(name, value)


def login(action: str, csrf: str, back: str, problem: str = "") -> str:
    """The log-in page; `back` is where the browser goes on."""
    return _page(
        "Log in",
        _problem(problem),
        Markup(
            '<form method="post" action="{action}">{hidden}'
            '<label for="login">Name</label><input type="text" id="login" name="login" autocomplete="username" required autofocus>'
            '<label for="password">Pass word</label>'
            '<input type="password" id="password" name="password" autocomplete="current-password" required>'
            '<button class="yes" type="submit">Log in</button></form>'
        ).format(action=action, hidden=_hidden("csrf", csrf) + _hidden("next", back)),
    )


def consent(action: str, csrf: str, person: str, client: str, granted: list[str], refused: list[str], audience: str, code: str = "") -> str:
    """The consent page: who asks, for what, for which service; with a device's `code` to compare, or none."""
    parts = [Markup("<p>You are logged in as <strong>{}</strong>. <strong>{}</strong> asks to:</p>").format(person, client)]
    parts.append(_scope_list(granted))
    if refused:
        parts.append(Markup('<p class="refused">Not yours to give, so left out: {}</p>').format(", ".join(refused)))
    if audience:
        parts.append(Markup("<p>For: <code>{}</code></p>").format(audience))
    if code:
        parts.append(Markup('<p>Go on only if your device or terminal shows this code: <br><span class="code">{}</span></p>').format(code))
    for decision, label, css in (("allow", "Allow", "yes"), ("deny", "Deny", "no")):
        fields = _hidden("csrf", csrf) + _hidden("decision", decision) + (_hidden("user_code", code) if code else Markup(""))
        parts.append(
            Markup('<form class="beside" method="post" action="{}">{}<button class="{}" type="submit">{}</button></form>').format(
                action, fields, css, label
            )
        )
    parts.append(
        Markup('<form method="post" action="/logout">{}<button type="submit">Log out</button></form>').format(_hidden("csrf", csrf))
    )
    return _page("Allow access?", *parts)


def _scope_list(granted: list[str]) -> Markup:
    lines = (Markup("<li>{} <code>{}</code></li>").format(scopes.describe(scope), scope) for scope in granted)
    return Markup("<ul>{}</ul>").format(Markup("").join(lines)) if granted else Markup("<p>(nothing by name)</p>")


def device(action: str, problem: str = "") -> str:
    """The page that asks for the code a device or terminal shows."""
    return _page(
        "Connect a device",
        _problem(problem),
        Markup(
            '<form method="get" action="{}"><label for="user_code">Code shown by your device or terminal</label>'
            '<input type="text" id="user_code" name="user_code" class="code" autocomplete="off" required autofocus>'
            '<button class="yes" type="submit">Go on</button></form>'
        ).format(action),
    )


def message(title: str, text: str) -> str:
    """A page that only says something."""
    return _page(title, Markup("<p>{}</p>").format(text))
