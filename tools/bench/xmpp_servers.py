"""The XMPP servers that take part: ejabberd and Prosody from Debian's packages, each in a temporary directory.

``ejabberd`` and ``prosody`` keep chats between connected people in memory. ``ejabberd-archive`` writes each chat into
PostgreSQL before it delivers it (XEP-0313, ``mod_mam``), which is nearer to what this product promises.
"""

import asyncio
import os
import pwd
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import asyncpg
import httpx

from tools.bench import xmpp
from tools.bench.cpu import Processes, tree
from tools.bench.environment import Account, NotInstalled, Recorder
from tools.bench.result import Result
from tools.devstack.postgres import USER, Postgres
from tools.devstack.probe import free_port, port_is_free
from tools.devstack.process import Child

READY_SECONDS: Final = 60.0
ROWS_EACH: Final = 2
"""Rows that a chat has in the archive: its sender's and its recipient's."""


class ServiceDirectory:
    """A temporary directory that belongs to a user of the system (to ourselves, when we are not root)."""

    def __init__(self, user: str) -> None:
        self._user = user if os.geteuid() == 0 else None
        self.path = Path(tempfile.mkdtemp(prefix=f"wm-bench-{user}-"))
        self.log = self.path / "output.log"
        self._own(self.path)

    def _own(self, path: Path) -> None:
        if self._user:
            shutil.chown(path, self._user, self._user)

    def folder(self, name: str) -> Path:
        """A folder in it."""
        path = self.path / name
        path.mkdir(parents=True, exist_ok=True)
        self._own(path)
        return path

    def write(self, name: str, text: str) -> Path:
        """A file in it."""
        path = self.path / name
        path.write_text(text, encoding="utf-8")
        self._own(path)
        return path

    def remove(self) -> None:
        """Remove it with everything in it."""
        shutil.rmtree(self.path)


def as_user(user: str) -> list[str]:
    """The prefix for a command that has to run as that user: these servers refuse to run as root."""
    if os.geteuid() != 0:
        return []
    group = str(pwd.getpwnam(user).pw_gid)
    # The change of user clears the signal that ties a child to us: set it again.
    return ["setpriv", "--pdeathsig=KILL", f"--reuid={user}", f"--regid={group}", "--init-groups"]


def ready(child: Child, port: int) -> None:
    """Wait until it listens.

    :raises ChildError: when it does not come up
    """
    child.await_ready(lambda: not port_is_free("127.0.0.1", port), READY_SECONDS)


async def package_version(name: str) -> str:
    """As dpkg knows it; empty where there is no dpkg."""
    if shutil.which("dpkg-query") is None:
        return ""
    process = await asyncio.create_subprocess_exec(
        "dpkg-query", "-W", "-f=${Version}", name, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return out.decode()


_EJABBERD_MISSING: Final = "ejabberd is not installed (Debian: apt-get install --no-install-recommends ejabberd)"
_ARCHIVE_MISSING: Final = (
    "ejabberd's driver for PostgreSQL is not installed"
    " (Debian: apt-get install --no-install-recommends ejabberd erlang-p1-pgsql)"
)
_ARCHIVE_SCHEMA: Final = Path("/usr/share/ejabberd/sql/pg.sql")
_DRIVERS: Final = ("/usr/lib/erlang/lib", "p1_pgsql-*/ebin/pgsql.beam")
_EJABBERD_CONFIG: Final = """\
hosts: ["{domain}"]
loglevel: warning
auth_method: internal
auth_password_format: plain
disable_sasl_mechanisms: ["DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512", "X-OAUTH2"]
new_sql_schema: false
listen:
  - {{port: {port}, ip: "127.0.0.1", module: ejabberd_c2s, starttls: false, shaper: none, max_stanza_size: 262144,
      backlog: 4096}}
  - {{port: {http}, ip: "127.0.0.1", module: ejabberd_http, request_handlers: {{/api: mod_http_api}}}}
acl: {{loopback: {{ip: ["127.0.0.0/8"]}}}}
access_rules: {{everybody: {{allow: all}}}}
shaper_rules: {{boundless: infinity}}
api_permissions: {{"registering": {{who: {{access: {{allow: {{acl: loopback}}}}}}, what: ["register"]}}}}
{database}modules:
  mod_http_api: {{}}
  mod_stream_mgmt: {{}}
  mod_offline: {{access_max_user_messages: boundless}}
  mod_privacy: {{}}
  mod_blocking: {{}}
  mod_roster: {{}}
  mod_ping: {{}}
{modules}"""
_ARCHIVE_DATABASE: Final = """\
sql_type: pgsql
sql_server: "127.0.0.1"
sql_port: {port}
sql_database: "{name}"
sql_username: "{name}"
sql_password: ""
"""
_ARCHIVE_MODULES: Final = "  mod_mam: {default: always, db_type: sql}\n"


class Ejabberd:
    """A running ejabberd.

    :cvar database: lines of its configuration about a database
    :cvar modules: lines about further modules
    """

    name = "ejabberd"
    watched_redis = None
    database = ""
    modules = ""

    def __init__(self) -> None:
        """Start it and wait until it serves.

        :raises NotInstalled: when the package is not installed
        :raises ChildError: when it does not come up
        """
        program = shutil.which("erl")
        libraries = next((root for root in Path("/usr/lib").glob("*/ejabberd-*/ebin")), None)
        if program is None or libraries is None:
            raise NotInstalled(_EJABBERD_MISSING)
        self._home = ServiceDirectory("ejabberd")
        self._port, self._http = free_port(), free_port()
        self._made: list[Account] = []
        self._child = Child(
            "ejabberd",
            [*as_user("ejabberd"), program, *self._arguments()],
            log=self._home.log,
            env=self._env(libraries.parents[1]),
            cwd=self._home.path,
        )
        ready(self._child, self._port)

    def _arguments(self) -> list[str]:
        # What ejabberdctl passes, without a node name: one node needs no epmd, which would stay behind.
        beam = ["+K", "true", "+P", "250000", "-noinput"]
        return [*beam, "-mnesia", "dir", f'"{self._home.path}/mnesia"', "-s", "ejabberd"]

    def _env(self, libraries: Path) -> dict[str, str]:
        text = _EJABBERD_CONFIG.format(
            port=self._port, http=self._http, domain=xmpp.DOMAIN, database=self.database, modules=self.modules
        )
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self._home.path),
            "ERL_LIBS": str(libraries),
            "ERL_MAX_PORTS": "32000",
            "ERL_CRASH_DUMP_SECONDS": "0",
            "EJABBERD_CONFIG_PATH": str(self._home.write("ejabberd.yml", text)),
            "EJABBERD_LOG_PATH": str(self._home.path / "ejabberd.log"),
        }

    async def prepare(self) -> None:
        """Nothing to set."""

    async def accounts(self, count: int) -> Sequence[Account]:
        """Registered over its HTTP API."""
        new = [f"u{number}" for number in range(len(self._made), count)]
        limit = asyncio.Semaphore(8)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self._http}", timeout=30) as client:

            async def make(user: str) -> Account:
                async with limit:
                    form = {"user": user, "host": xmpp.DOMAIN, "password": "secret"}
                    (await client.post("/api/register", json=form)).raise_for_status()
                return Account(f"{user}@{xmpp.DOMAIN}", "secret")

            self._made += await asyncio.gather(*map(make, new))
        return self._made[:count]

    async def connect(self, account: Account, recorder: Recorder) -> xmpp.XmppClient:
        """By XMPP."""
        return await xmpp.open_connection(self._port, account, recorder)

    def processes(self) -> Processes:
        """The process and its children."""
        return {"server": tree(self._child.pid)}

    async def facts(self) -> dict[str, str]:
        """The version of its package."""
        return {"ejabberd": await package_version("ejabberd")}

    async def close(self) -> None:
        """Stop the server and remove its files."""
        self._child.stop(10)
        self._home.remove()


class _ArchivePostgres(Postgres):
    """The product's own PostgreSQL, which ejabberd reaches over TCP (its driver knows no unix sockets)."""

    def __init__(self, data: Path) -> None:
        self.port = free_port()
        super().__init__(data, options={"listen_addresses": "127.0.0.1", "port": str(self.port)})

    def dsn(self, database: str = USER) -> str:
        """With the port, which also names the socket."""
        return f"{super().dsn(database)}&port={self.port}"

    def fetch(self, sql: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """As the base class does, in a thread: the benchmark's own event loop runs here already."""
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(super().fetch, sql, database).result()

    def run_script(self, sql: str) -> None:
        """Run several statements."""
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, self._run_script(sql)).result()

    async def _run_script(self, sql: str) -> None:
        connection = await asyncpg.connect(self.dsn())
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


class EjabberdArchive(Ejabberd):
    """An ejabberd whose ``mod_mam`` stores each chat in PostgreSQL, for its sender and for its recipient, before the
    recipient gets it. Receipts have no text, so ``mod_mam`` does not store them."""

    name = "ejabberd-archive"
    modules = _ARCHIVE_MODULES

    def __init__(self) -> None:
        """Start PostgreSQL and ejabberd and wait until both serve.

        :raises NotInstalled: when a package is not installed
        :raises ChildError: when one of them does not come up
        """
        root, driver = _DRIVERS
        if not _ARCHIVE_SCHEMA.exists() or not any(Path(root).glob(driver)):
            raise NotInstalled(_ARCHIVE_MISSING)
        self._data = Path(tempfile.mkdtemp(prefix="wm-bench-archive-"))
        self._postgres = _ArchivePostgres(self._data)
        self.database = _ARCHIVE_DATABASE.format(port=self._postgres.port, name=USER)
        try:
            self._postgres.start()
            self._postgres.run_script(_ARCHIVE_SCHEMA.read_text(encoding="utf-8"))
            super().__init__()
        except BaseException:
            self._remove_postgres()
            raise

    def processes(self) -> Processes:
        """As the base class, and PostgreSQL."""
        return {**super().processes(), "postgres": tree(self._postgres.pid)}

    async def check_archive(self, result: Result) -> None:
        """Compare the archive with what was sent; a chat that is not in it makes the run void."""
        connection = await asyncpg.connect(self._postgres.dsn())
        try:
            rows: int = await connection.fetchval(
                "SELECT count(*) FROM archive WHERE xml LIKE $1", f"%{result.ledger.run}-%"
            )
        finally:
            await connection.close()
        result.figures = {**result.figures, "messages_archived": rows // ROWS_EACH}
        result.ledger.unstored = max(0, result.ledger.sent - rows // ROWS_EACH)

    async def facts(self) -> dict[str, str]:
        """Its version, and how PostgreSQL writes to disk."""
        connection = await asyncpg.connect(self._postgres.dsn())
        try:
            settings = {
                name: str(await connection.fetchval(f"SHOW {name}"))
                for name in ("server_version", "fsync", "synchronous_commit")
            }
        finally:
            await connection.close()
        return {**await super().facts(), **{f"postgres_{name}": value for name, value in settings.items()}}

    async def close(self) -> None:
        """Stop both servers and remove their files."""
        await super().close()
        self._remove_postgres()

    def _remove_postgres(self) -> None:
        self._postgres.destroy()
        shutil.rmtree(self._data, ignore_errors=True)


_PROSODY_MISSING: Final = "Prosody is not installed (Debian: apt-get install --no-install-recommends prosody)"
_PROSODY_CONFIG: Final = """\
data_path = "{home}/data"
pidfile = "{home}/prosody.pid"
log = {{ warn = "{home}/prosody.log" }}
modules_enabled = {{ "saslauth", "roster", "smacks", "offline", "blocklist", "ping" }}
modules_disabled = {{ "s2s", "posix" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
network_settings = {{ tcp_backlog = 4096, nagle = false }}
authentication = "internal_plain"
storage = "internal"
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
VirtualHost "{domain}"
"""


class Prosody:
    """A running Prosody."""

    name = "prosody"
    watched_redis = None

    def __init__(self) -> None:
        """Start it and wait until it serves.

        :raises NotInstalled: when the package is not installed
        :raises ChildError: when it does not come up
        """
        program = shutil.which("prosody")
        if program is None:
            raise NotInstalled(_PROSODY_MISSING)
        self._home, self._port = ServiceDirectory("prosody"), free_port()
        self._home.folder("data")
        self._home.folder(f"data/{xmpp.DOMAIN}")
        self._home.folder(f"data/{xmpp.DOMAIN}/accounts")
        self._made = 0
        text = _PROSODY_CONFIG.format(home=self._home.path, port=self._port, domain=xmpp.DOMAIN)
        config = self._home.write("prosody.cfg.lua", text)
        command = [*as_user("prosody"), program, "-F", "--config", str(config)]
        self._child = Child("prosody", command, log=self._home.log, cwd=self._home.path)
        ready(self._child, self._port)

    async def prepare(self) -> None:
        """Nothing to set."""

    async def accounts(self, count: int) -> Sequence[Account]:
        """Files in the format of Prosody's own storage."""
        for number in range(self._made, count):
            self._home.write(f"data/{xmpp.DOMAIN}/accounts/u{number}.dat", 'return { ["password"] = "secret" };\n')
        self._made = max(self._made, count)
        return [Account(f"u{number}@{xmpp.DOMAIN}", "secret") for number in range(count)]

    async def connect(self, account: Account, recorder: Recorder) -> xmpp.XmppClient:
        """By XMPP."""
        return await xmpp.open_connection(self._port, account, recorder)

    def processes(self) -> Processes:
        """The process and its children."""
        return {"server": tree(self._child.pid)}

    async def facts(self) -> dict[str, str]:
        """The version of its package."""
        return {"prosody": await package_version("prosody")}

    async def close(self) -> None:
        """Stop the server and remove its files."""
        self._child.stop(10)
        self._home.remove()
