"""Writes every configuration Rucio needs: server and daemons, database migration, OpenID clients, plain clients."""

from __future__ import annotations

import importlib.metadata
import json
import os
import secrets
from pathlib import Path

from . import oidc, register, topology
from .state import Facts, State, url

_ALEMBIC = """\
[alembic]
script_location = rucio:db/sqla/migrate_repo
sqlalchemy.url = sqlite:///{database}
[loggers]
keys = root
[handlers]
keys = stderr
[formatters]
keys = plain
[logger_root]
level = WARN
handlers = stderr
[handler_stderr]
class = StreamHandler
args = (sys.stderr,)
formatter = plain
[formatter_plain]
format = %(message)s
"""
"""Rucio's migration environment calls logging.config.fileConfig: all these sections must be there (seen with 41.5.1)."""

_SERVER = """\
[common]
logdir = {log}
loglevel = INFO
mailtemplatedir = {mail_templates}
[database]
default = sqlite:///{database}?timeout=60
[bootstrap]
userpass_identity = root
userpass_pwd = {password}
userpass_email = root@localhost
x509_identity =
x509_email =
gss_identity =
ssh_identity =
[policy]
permission = generic
schema = generic
lfn2pfn_algorithm_default = hash
[alembic]
cfg = {alembic}
[oidc]
idpsecrets = {idpsecrets}
admin_issuer = {vo}
expected_audience = {audience}
expected_scope = openid profile
[conveyor]
scheme = davs,https,root,gsiftp
transfertool = fts3
use_preparer = true
usercert = {robot}
ftshosts = {fts}
poll_timeout = 20
submit_timeout = 20
[client]
rucio_host = {rucio}
auth_host = {rucio}
"""

_CLIENT = """\
[client]
rucio_host = {rucio}
auth_host = {rucio}
ca_cert = {ca}
account = ops
auth_type = userpass
username = ops
password = {password}
request_retries = 3
protocol_stat_retries = 2
[policy]
permission = generic
schema = generic
lfn2pfn_algorithm_default = hash
"""


def configure(state: State, facts: Facts) -> None:
    """Write all files from topology and ports; pass words are made once and kept in `client/*.password` (0600)."""
    for account in topology.ACCOUNTS:
        if account.userpass and not state.password_file(account.name).exists():
            made = secrets.token_urlsafe(12)
            register.note(state, made)
            write_private(state.password_file(account.name), made + "\n")
    home = state.rucio_home / "etc"
    home.mkdir(parents=True, exist_ok=True)
    alembic, idpsecrets = home / "alembic.ini", home / "idpsecrets.json"
    alembic.write_text(_ALEMBIC.format(database=state.database))
    write_private(idpsecrets, json.dumps(oidc.idpsecrets(state, facts), indent=1))
    write_private(
        home / "rucio.cfg",
        _SERVER.format(
            log=state.log,
            mail_templates=_mail_templates(),
            database=state.database,
            password=password(state, "root"),
            alembic=alembic,
            idpsecrets=idpsecrets,
            vo=topology.VO,
            audience=topology.RUCIO_AUDIENCE,
            robot=state.proxy("robot"),
            fts=url(facts, "fts"),
            rucio=url(facts, "rucio"),
        ),
    )
    client = state.client / "etc"
    client.mkdir(parents=True, exist_ok=True)
    write_private(client / "rucio.cfg", _CLIENT.format(rucio=url(facts, "rucio"), ca=state.ca, password=password(state, "ops")))


def password(state: State, account: str) -> str:
    """The account's Rucio pass word; raises FileNotFoundError before `configure`."""
    return state.password_file(account).read_text().strip()


def write_private(path: Path, text: str) -> None:
    """Put `text` at `path` in one step, readable by its owner only from the first moment."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _mail_templates() -> Path:
    """Where the wheel put Rucio's mail templates; without them a rule that asks approval is an HTTP 500 (41.5.1)."""
    for file in importlib.metadata.files("rucio") or ():
        if file.name == "rule_denied_user.tmpl":
            return Path(str(file.locate())).parent.resolve()
    raise FileNotFoundError("the rucio wheel holds no mail templates")
