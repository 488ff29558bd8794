"""Which processes make up a lake, how each is started and how one sees that it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from . import storages, topology
from .processes import faked_clock
from .state import Facts, State


@dataclass(frozen=True)
class Service:
    """One process the supervisor starts and watches."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    sockets: tuple[str, ...] = ()
    """Names of the ports that are bound before it starts and handed over from fd 3 on."""
    ready: str = ""
    """`log:TEXT` (a line of its log since the start), `tcp:PORT` (something accepts) or `https:PORT/PATH`."""
    address: str = ""
    """Where people reach it; empty for a process that listens nowhere."""
    mapped: bool = False
    """Sockets are IPv6 sockets bound to the mapped IPv4 loopback address: what xrootd takes over."""
    members_file: bool = False
    """Reports its own children in `run/<name>.members.json`: each Rucio daemon is a process of its own."""


def table(state: State, facts: Facts) -> tuple[Service, ...]:
    """All services of the lake, in the order in which they are started."""
    python = (str(state.python), "-P", "-m")
    grid = {"X509_CERT_DIR": str(state.certificates), "X509_VOMS_DIR": str(state.vomsdir)}
    robot = str(state.proxy("robot"))

    def ours(module: str) -> tuple[str, ...]:
        return (*python, f"inside.{module}", "--state", str(state.root))

    def web(name: str, module: str, path: str, env: Mapping[str, str]) -> Service:
        address = f"https://{topology.HOST}:{facts.ports[name]}"
        return Service(name, ours(module), env, (name,), f"https:{name}{path}", address)

    trust = {name: str(state.ca) for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")}
    rucio = {"RUCIO_HOME": str(state.rucio_home), **grid, **trust}
    made = [
        web("oidc", "oidc", "/.well-known/openid-configuration", {}),
        web("rucio", "rucio_server", "/ping", rucio),
        *(
            Service(
                command.service,
                tuple(command.argv),
                dict(command.env),
                tuple(command.sockets),
                command.ready,
                _addresses(facts, command.service),
                mapped=True,
            )
            for command in storages.commands(state, facts)
            if command.service != "tape"
        ),
        web("tape", "tape_rest", "/.well-known/wlcg-tape-rest-api", grid),
        web("fts", "fts", "/", grid),
        Service(
            "rucio-daemons",
            ours("daemons"),
            {
                **rucio,
                "X509_USER_PROXY": robot,
                "XRD_CONNECTIONWINDOW": "5",
                "XRD_CONNECTIONRETRY": "1",
                "XrdSecGSISRVNAMES": topology.HOST,
            },
            ready="log:daemons started",
            members_file=True,
        ),
    ]
    return tuple(made)


def _addresses(facts: Facts, server_name: str) -> str:
    server = topology.server(server_name)
    return " ".join(f"{scheme}://{topology.HOST}:{facts.ports[server.port_name(scheme)]}" for scheme in server.schemes)


def base_environment(state: State, service: str) -> dict[str, str]:
    """The environment a service starts from: nothing inherited, HOME, TMPDIR and XDG_* inside the state.

    Raises OSError if its home cannot be made.
    """
    home = state.home(service)
    places = {
        "HOME": home,
        "TMPDIR": home / "tmp",
        "XDG_CACHE_HOME": home / "cache",
        "XDG_CONFIG_HOME": home / "config",
        "XDG_RUNTIME_DIR": home / "runtime",
    }
    for place in places.values():
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(state.code),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "MALLOC_ARENA_MAX": "2",  # glibc would keep one arena for each thread: 60 MB more for the Rucio server
        **{name: str(place) for name, place in places.items()},
        **faked_clock(),
    }
