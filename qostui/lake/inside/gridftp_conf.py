"""The files one GridFTP server reads, and its environment.

It runs unprivileged, without chroot: every certificate it lets in acts as the service user and sees real paths below
`restrict_paths`. So only people with full storage rights are mapped; it cannot hold anyone to reading.
"""

from __future__ import annotations

from pathlib import Path

from . import topology
from .state import Facts, State


def directory(state: State, server: topology.Server) -> Path:
    """Where the configuration of one server lies."""
    return state.etc / server.name


def render(state: State, facts: Facts, server: topology.Server) -> str:
    """The configuration file of globus-gridftp-server(8)."""
    settings = {
        "port": facts.ports[server.port_name("gsiftp")],
        "control_interface": "127.0.0.1",
        "data_interface": "127.0.0.1",
        "hostname": "127.0.0.1",
        "detach": 0,
        "daemon": 1,
        "log_single": state.log_file(server.name),
        "log_level": "ERROR,WARN,INFO",
        "allow_anonymous": 0,
        "disable_usage_stats": 1,
        "restrict_paths": f"RW{state.data(server)}/data",
        "home_dir": "/",
        "connections_max": 50,
    }
    return "".join(f"{name} {value}\n" for name, value in settings.items())


def grid_mapfile(facts: Facts) -> str:
    """DN to the one account GridFTP can act as: the user it runs as."""
    people = (person for person in topology.PEOPLE if person.certificate and person.storage == "a")
    return "".join(f'"{topology.distinguished_name(person.name)}" {facts.user}\n' for person in people)


def environment(state: State, facts: Facts, server: topology.Server) -> dict[str, str]:
    """Variables of the Globus libraries; the data ports come from the facts."""
    first, last = facts.data_ports[server.name]
    return {
        "X509_CERT_DIR": str(state.certificates),
        "X509_USER_CERT": str(state.host_cert),
        "X509_USER_KEY": str(state.host_key),
        "GRIDMAP": str(directory(state, server) / "grid-mapfile"),
        "GLOBUS_TCP_PORT_RANGE": f"{first},{last}",
        "GLOBUS_HOSTNAME": topology.HOST,
    }
