"""The files one XRootD server reads, rendered from the topology.

Facts behind the lines (XRootD 5.5.3, Debian 12, run):
- `-crl:3` makes GSI log-in refuse everyone while the CRL is missing or over; a server does not even start then. A
  certificate that the CRL lists is still let in: XrdCryptosslX509Crl::LoadCache forgets to mark it.
- XrdHttp makes a TLS context of its own without CRL checks (XrdHttpProtocol::InitTLS), whatever `xrd.tlsca` says. The
  VOMS library does check the CRL, at each connection, for the signer of the attributes: so davs demands them of a
  client certificate, and refuses everyone with one once the CRL is over.
- The macaroon handler answers every GET below /.well-known/ itself: a tape server that publishes its REST API there
  must not load it.
- Without a match in the grid-mapfile XrdHttp would go on under a name made from the certificate: hence `required`.
- Protocols share ports: where there is no root door, the xrootd protocol is put on the davs port instead of its
  default port, which would listen everywhere.
"""

from __future__ import annotations

from pathlib import Path

from . import topology
from .state import Facts, State, issuer, storage_audience, url

TAPE_DOCUMENT = "/.well-known/wlcg-tape-rest-api"
CRL_REFRESH_SECONDS = 60
"""How long a server goes on with a CRL it has read: short, since drills change it under running servers."""


def directory(state: State, server: topology.Server) -> Path:
    """Where the configuration of one server lies."""
    return state.etc / server.name


def instance(facts: Facts, server: topology.Server) -> str:
    """The name XRootD gives its run-time files; it holds the lake's id, since some names are seen machine-wide."""
    return f"{facts.id}-{server.name}"


def main_port(facts: Facts, server: topology.Server) -> int:
    """The port of the xrootd protocol: the root door's, else shared with davs."""
    return facts.ports[server.port_name("root" if "root" in server.schemes else "davs")]


def render(state: State, facts: Facts, server: topology.Server, admin: Path) -> str:
    """The main configuration file; `admin` holds the UNIX sockets and must be short."""
    own = directory(state, server)
    certificates, certificate, key = state.certificates, state.host_cert, state.host_key
    roots = "roots" in server.schemes
    lines = [
        "all.export /data",
        *(["all.export /.well-known"] if server.tape else []),
        f"all.adminpath {admin}",
        f"all.pidpath {admin}",
        f"all.sitename {server.name}",
        f"oss.localroot {state.data(server)}",
        f"xrd.port {main_port(facts, server)}",
        "xrd.network nodnr norpipa",
        f"xrd.tls {certificate} {key}",
        f"xrd.tlsca certdir {certificates} crlcheck all refresh {CRL_REFRESH_SECONDS}",
        *(["xrootd.tls capable all"] if roots else []),
        "xrootd.chksum max 2 adler32 md5",
        "xrootd.seclib libXrdSec.so",
        *(["sec.protocol ztn"] if roots else []),
        f"sec.protocol gsi -d:0 -certdir:{certificates} -cert:{certificate} -key:{key} -gridmap:{own}/grid-mapfile -gmapopt:2"
        f" -crl:3 -crlrefresh:{CRL_REFRESH_SECONDS} -dlgpxy:1 -exppxy:=creds",
        "sec.protbind * ztn gsi" if roots else "sec.protbind * only gsi",
        "ofs.authorize",
        *(["ofs.authlib ++ libXrdMacaroons.so"] if server.macaroons else []),
        *([f"ofs.authlib ++ libXrdAccSciTokens.so config={own}/scitokens.cfg"] if server.tokens else []),
        f"acc.authdb {own}/authdb",
        "acc.audit deny",
        f"ofs.tpc fcreds ?gsi =X509_USER_PROXY fcpath {admin}/credentials-{server.name} autorm pgm /usr/bin/xrdcp --server",
    ]
    if server.tape:
        lines.append(f"ofs.preplib libXrdOfsPrepGPI.so -admit all -run {own}/stage")
    if "davs" in server.schemes:
        lines += _http(facts.ports[server.port_name("davs")], own, server)
    return "\n".join(lines) + "\n"


def _http(port: int, own: Path, server: topology.Server) -> list[str]:
    macaroons = ["http.exthandler xrdmacaroons libXrdMacaroons.so", f"macaroons.secretkey {own}/macaroon.key"]
    return [
        f"xrd.protocol http:{port} libXrdHttp.so",
        "http.header2cgi Authorization authz",
        f"http.gridmap required {own}/grid-mapfile",
        f"http.secxtractor required libXrdHttpVOMS.so vos={topology.VO}",
        "http.exthandler xrdtpc libXrdHttpTPC.so",
        *(macaroons if server.macaroons else []),
        "http.listingdeny no",
        "http.desthttps yes",
        "http.selfhttps2http no",
    ]


def grid_mapfile() -> str:
    """DN to the name authorisation uses, for everyone with a certificate."""
    people = (person for person in topology.PEOPLE if person.certificate)
    return "".join(f'"{topology.distinguished_name(person.name)}" {topology.unix_name(person.name)}\n' for person in people)


def authdb(server: topology.Server) -> str:
    """Who may do what by certificate; everyone may read where the tape API is, no one else anything."""
    people = [person for person in topology.PEOPLE if person.certificate]
    public = " /.well-known rl" if server.tape else ""
    lines = [f"u {topology.unix_name(person.name)} /data {person.storage}{public}" for person in people]
    return "\n".join(lines + ([f"u *{public}"] if public else [])) + "\n"


def scitokens(facts: Facts, server: topology.Server) -> str:
    """Whose tokens are taken, for which audiences, and that their paths are below /data."""
    return (
        "[Global]\n"
        f"audience = {storage_audience(facts, server)}, {topology.WLCG_ANY_AUDIENCE}\n"
        "onmissing = passthrough\n"
        "\n"
        "[Issuer lake]\n"
        f"issuer = {issuer(facts)}\n"
        "base_path = /data\n"
        "map_subject = False\n"
        "default_user = token\n"
    )


def tape_document(facts: Facts, server: topology.Server) -> dict[str, object]:
    """What WLCG Tape REST API clients look up at the storage (WLCG Tape REST API v1, section 'discovery')."""
    endpoint = {"uri": f"{url(facts, 'tape')}/api/v1", "version": "v1", "metadata": {}}
    return {"sitename": server.name, "description": "Tape storage of the lake", "endpoints": [endpoint]}


def stage_program(state: State) -> str:
    """The program XRootD runs for `prepare`; it wants one path without arguments."""
    return (
        "#!/bin/sh\n"
        f"export PYTHONPATH='{state.code}' PYTHONDONTWRITEBYTECODE=1\n"
        f"exec /usr/bin/python3 -s -P -m inside.tape_stage --state '{state.root}' \"$@\"\n"
    )
