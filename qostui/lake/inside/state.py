"""Where everything of one lake lies, and the few facts that are fixed when it is installed.

Layout of a state directory:

    lake.json          id, Rucio version, fingerprint, ports, service user
    env/               the lake's virtual environment (owned by whoever installed)
    code/inside/       this package, copied
    image/             the seed image that `reset` copies (written by the service user, like `live/`)
    live/              the running lake:
      etc/ pki/ rucio/ oidc/ fts/ data/ client/ log/ run/
      register       every secret this lake made (register.py)

Standard library only: read by the console's side, by the supervisor and by each service.
"""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass, field
from pathlib import Path

from . import topology

LISTEN_FD = 3
"""First inherited listening socket, as systemd hands them over (sd_listen_fds(3))."""


@dataclass
class Facts:
    """What `lake.json` holds."""

    id: str
    rucio: str
    user: str
    """Name of the account that runs all services."""
    ports: dict[str, int] = field(default_factory=dict)
    data_ports: dict[str, tuple[int, int]] = field(default_factory=dict)
    """GridFTP server name -> first and last passive data port."""
    fingerprint: str = ""


class State:
    """One state directory. Paths are properties, so that a move of the directory moves them all."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def facts_file(self) -> Path:
        return self.root / "lake.json"

    @property
    def env(self) -> Path:
        return self.root / "env"

    @property
    def python(self) -> Path:
        return self.env / "bin" / "python"

    @property
    def code(self) -> Path:
        return self.root / "code"

    @property
    def image(self) -> Path:
        return self.root / "image"

    @property
    def live(self) -> Path:
        return self.root / "live"

    @property
    def etc(self) -> Path:
        return self.live / "etc"

    @property
    def pki(self) -> Path:
        return self.live / "pki"

    @property
    def ca(self) -> Path:
        """The CA certificate as one PEM file, for HTTPS clients."""
        return self.pki / "ca.pem"

    @property
    def ca_key(self) -> Path:
        return self.pki / "ca.key"

    @property
    def certificates(self) -> Path:
        """The grid CA directory (X509_CERT_DIR): hashed CA, signing_policy, CRL."""
        return self.pki / "certificates"

    @property
    def vomsdir(self) -> Path:
        return self.pki / "vomsdir"

    @property
    def vomses(self) -> Path:
        return self.pki / "vomses"

    @property
    def host_cert(self) -> Path:
        return self.pki / "host.pem"

    @property
    def host_key(self) -> Path:
        return self.pki / "host.key"

    def user_cert(self, person: str) -> Path:
        return self.pki / "users" / f"{person}.pem"

    def user_key(self, person: str) -> Path:
        return self.pki / "users" / f"{person}.key"

    def proxy(self, person: str) -> Path:
        """The person's proxy (RFC 3820, with VOMS attributes where the person has some), renewed at `up`."""
        return self.pki / "proxies" / f"{person}.pem"

    @property
    def rucio_home(self) -> Path:
        """RUCIO_HOME of server and daemons; its etc/rucio.cfg is the server's."""
        return self.live / "rucio"

    @property
    def database(self) -> Path:
        return self.rucio_home / "rucio.db"

    @property
    def oidc(self) -> Path:
        return self.live / "oidc"

    @property
    def jwks(self) -> Path:
        """The provider's public keys (JWK set), written by the provider before it listens."""
        return self.oidc / "jwks.json"

    @property
    def fts(self) -> Path:
        return self.live / "fts"

    def data(self, server: topology.Server) -> Path:
        return self.live / "data" / server.data

    @property
    def client(self) -> Path:
        """What clients of the lake use: rucio.cfg, pass words (0600), tokens (0600)."""
        return self.live / "client"

    def password_file(self, account: str) -> Path:
        return self.client / f"{account}.password"

    def token_file(self, person: str) -> Path:
        return self.client / f"{person}.token"

    @property
    def register(self) -> Path:
        """Every secret that was made here, for the test that looks for them (register.py)."""
        return self.live / "register"

    @property
    def log(self) -> Path:
        return self.live / "log"

    def log_file(self, service: str) -> Path:
        return self.log / f"{service}.log"

    @property
    def run(self) -> Path:
        return self.live / "run"

    def home(self, service: str) -> Path:
        """HOME of one service; its TMPDIR and XDG_* lie below."""
        return self.run / "home" / service

    @property
    def services_file(self) -> Path:
        """What the supervisor knows of each service, rewritten at each change."""
        return self.run / "services.json"

    def read(self) -> Facts:
        """The facts of this lake; raises FileNotFoundError when it is not installed."""
        loaded = json.loads(self.facts_file.read_text())
        loaded["data_ports"] = {name: (first, last) for name, (first, last) in loaded["data_ports"].items()}
        return Facts(**loaded)

    def write(self, facts: Facts) -> None:
        """Put the facts in place in one step, readable by all: there is no secret among them."""
        temporary = self.facts_file.with_suffix(".new")
        with temporary.open("w") as file:
            json.dump(asdict(facts), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        temporary.replace(self.facts_file)


def url(facts: Facts, service: str) -> str:
    """https address of a web service of the lake, without a path and without a trailing slash."""
    return f"https://{topology.HOST}:{facts.ports[service]}"


def issuer(facts: Facts) -> str:
    """The OpenID issuer, with the trailing slash that Rucio identities, tokens and discovery must all spell."""
    return url(facts, "oidc") + "/"


def storage_audience(facts: Facts, server: topology.Server) -> str:
    """The token audience a storage server accepts besides the WLCG 'any' audience."""
    return f"https://{topology.HOST}:{facts.ports[server.port_name('davs')]}"


def rse_prefix(state: State, rse: topology.Rse, scheme: str) -> str:
    """The protocol prefix Rucio puts in front of a path.

    GridFTP serves the real file system, unprivileged; XRootD takes only a path with two slashes as absolute.
    """
    if scheme == "gsiftp":
        server = topology.server(dict(rse.doors)[scheme])
        return f"{state.data(server)}{rse.prefix}/"
    return f"/{rse.prefix}/" if scheme in ("root", "roots") else f"{rse.prefix}/"


def inherited_socket(number: int = 0) -> socket.socket:
    """The listening socket the supervisor bound and handed over."""
    return socket.socket(fileno=LISTEN_FD + number)
