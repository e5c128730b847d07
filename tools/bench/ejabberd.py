"""ejabberd from Debian's package, with a configuration and a directory of its own."""

import asyncio
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import httpx

from tools.bench import xmpp
from tools.bench.cpu import Processes, tree
from tools.bench.line import Account, Ear
from tools.bench.packaged import Home, as_user, package_version, ready
from tools.bench.venue import Absent
from tools.devstack.probe import free_port
from tools.devstack.process import Child

_HOW: Final = "ejabberd is not here (Debian: apt-get install --no-install-recommends ejabberd)"
_CONFIG: Final = """\
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
modules:
  mod_http_api: {{}}
  mod_stream_mgmt: {{}}
  mod_offline: {{access_max_user_messages: boundless}}
  mod_privacy: {{}}
  mod_blocking: {{}}
  mod_roster: {{}}
  mod_ping: {{}}
"""


class Ejabberd:
    """A running ejabberd."""

    name = "ejabberd"

    def __init__(self) -> None:
        """Start it and wait until it serves.

        :raises Absent: when the package is not installed
        :raises ChildError: when it does not come up
        """
        program = shutil.which("erl")
        libraries = next((root for root in Path("/usr/lib").glob("*/ejabberd-*/ebin")), None)
        if program is None or libraries is None:
            raise Absent(_HOW)
        self._home = Home("ejabberd")
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
        text = _CONFIG.format(port=self._port, http=self._http, domain=xmpp.DOMAIN)
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

    async def people(self, count: int) -> Sequence[Account]:
        """Registered over its HTTP API."""
        new = [f"u{number}" for number in range(len(self._made), count)]
        gate = asyncio.Semaphore(8)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self._http}", timeout=30) as client:

            async def make(user: str) -> Account:
                async with gate:
                    form = {"user": user, "host": xmpp.DOMAIN, "password": "secret"}
                    (await client.post("/api/register", json=form)).raise_for_status()
                return Account(f"{user}@{xmpp.DOMAIN}", "secret")

            self._made += await asyncio.gather(*map(make, new))
        return self._made[:count]

    async def connect(self, account: Account, ear: Ear) -> xmpp.XmppTalker:
        """By XMPP."""
        return await xmpp.open_line(self._port, account, ear)

    def processes(self) -> Processes:
        """All of it."""
        return {"server": tree(self._child.pid)}

    async def facts(self) -> dict[str, str]:
        """Its version."""
        return {"ejabberd": await package_version("ejabberd")}

    async def close(self) -> None:
        """Stop it, and leave nothing behind."""
        self._child.stop(10)
        self._home.remove()
