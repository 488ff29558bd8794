"""All checks of the doctor, as one table: a new one is a function in the module of its topic and a line here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...domain.finding import Finding
from ...services.feeds import Cancel
from . import holdings, keeping, revocation, servers, software, surroundings, trust, voms
from .case import Case

Look = Callable[[Case, Cancel], Sequence[Finding]]


@dataclass(frozen=True, slots=True)
class Check:
    """One check: it returns what it found, an `ok` finding when nothing is wrong, nothing at all where it does not apply."""

    id: str
    """`topic.name`; the topic is one of domain.finding.TOPICS."""
    title: str
    look: Look
    limit_s: float = 10.0
    of_machine: bool = False
    """Looks at this machine whatever the profile is, so that once is enough for several profiles."""


CHECKS: tuple[Check, ...] = (
    Check("trust.file", "CA file of the profile", trust.check_file),
    Check("trust.directory", "grid CA directory", trust.check_directory),
    Check("trust.validity", "CAs and intermediates in force", trust.check_validity),
    Check("trust.chain", "CAs above intermediates", trust.check_chain),
    Check("trust.names", "hash links of CAs", trust.check_names),
    Check("trust.policy", "signing policies", trust.check_policy),
    Check("trust.crl", "revocation lists", revocation.check, 20.0),
    Check("credentials.certificate", "certificate", holdings.check_certificate),
    Check("credentials.key", "key", holdings.check_key),
    Check("credentials.proxy", "proxy", holdings.check_proxy),
    Check("credentials.attributes", "VOMS attributes", holdings.check_attributes),
    Check("credentials.token", "access token", holdings.check_token),
    Check("credentials.password", "pass word file", holdings.check_password),
    Check("credentials.log-in", "log-in at Rucio", holdings.check_log_in, 60.0),
    Check("credentials.keyring", "keyring", keeping.check_keyring),
    Check("credentials.places", "well-known places", keeping.check_places, of_machine=True),
    Check("clock.server", "clock against Rucio's", servers.check_clock, 40.0),
    Check("servers.rucio", "Rucio", servers.check_rucio, 40.0),
    Check("servers.certificate", "certificates of Rucio and its log-in host", servers.check_certificates, 30.0),
    Check("servers.log-in", "log-in host", servers.check_login_host, 40.0),
    Check("servers.issuer", "token issuer", servers.check_issuer, 40.0),
    Check("servers.fts", "FTS", servers.check_fts, 90.0),
    Check("servers.doors", "storage doors and their certificates", servers.check_doors, 180.0),
    Check("voms.vomses", "address of the VOMS server", voms.check_vomses),
    Check("voms.lsc", "identity of the VOMS server", voms.check_lsc),
    Check("software.gfal2", "gfal2 of the system's Python", software.check_gfal2, 20.0, of_machine=True),
    Check("software.plug-ins", "plug-ins of gfal2", software.check_plugins, of_machine=True),
    Check("software.scripts", "gfal-ls and its like", software.check_scripts, 40.0, of_machine=True),
    Check("software.rucio", "rucio-clients", software.check_clients, 20.0, of_machine=True),
    Check("software.server", "version of the server", software.check_server, 40.0),
    Check("software.programs", "programs of the grid", software.check_programs, 30.0),
    Check("terminal.kind", "kind of terminal", surroundings.check_kind, of_machine=True),
    Check("terminal.locale", "locale", surroundings.check_locale, of_machine=True),
    Check("terminal.size", "size of the terminal", surroundings.check_size, of_machine=True),
    Check("terminal.tmux", "tmux", surroundings.check_tmux, 20.0, of_machine=True),
    Check("places.configuration", "configuration", surroundings.check_configuration, of_machine=True),
    Check("places.state", "state directory", surroundings.check_state, of_machine=True),
    Check("places.runtime", "runtime directory", surroundings.check_runtime, of_machine=True),
)
