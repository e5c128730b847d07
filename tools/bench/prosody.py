"""Prosody from Debian's package, with a configuration and a directory of its own."""

import shutil
from collections.abc import Sequence
from typing import Final

from tools.bench import xmpp
from tools.bench.cpu import Processes, tree
from tools.bench.line import Account, Ear
from tools.bench.packaged import Home, as_user, package_version, ready
from tools.bench.venue import Absent
from tools.devstack.probe import free_port
from tools.devstack.process import Child

_HOW: Final = "Prosody is not here (Debian: apt-get install --no-install-recommends prosody)"
_CONFIG: Final = """\
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

    def __init__(self) -> None:
        """Start it and wait until it serves.

        :raises Absent: when the package is not installed
        :raises ChildError: when it does not come up
        """
        program = shutil.which("prosody")
        if program is None:
            raise Absent(_HOW)
        self._home, self._port = Home("prosody"), free_port()
        self._home.folder("data")
        self._home.folder(f"data/{xmpp.DOMAIN}")
        self._home.folder(f"data/{xmpp.DOMAIN}/accounts")
        self._made = 0
        text = _CONFIG.format(home=self._home.path, port=self._port, domain=xmpp.DOMAIN)
        config = self._home.write("prosody.cfg.lua", text)
        command = [*as_user("prosody"), program, "-F", "--config", str(config)]
        self._child = Child("prosody", command, log=self._home.log, cwd=self._home.path)
        ready(self._child, self._port)

    async def prepare(self) -> None:
        """Nothing to set."""

    async def people(self, count: int) -> Sequence[Account]:
        """Written where Prosody keeps its accounts."""
        for number in range(self._made, count):
            self._home.write(f"data/{xmpp.DOMAIN}/accounts/u{number}.dat", 'return { ["password"] = "secret" };\n')
        self._made = max(self._made, count)
        return [Account(f"u{number}@{xmpp.DOMAIN}", "secret") for number in range(count)]

    async def connect(self, account: Account, ear: Ear) -> xmpp.XmppTalker:
        """By XMPP."""
        return await xmpp.open_line(self._port, account, ear)

    def processes(self) -> Processes:
        """All of it."""
        return {"server": tree(self._child.pid)}

    async def facts(self) -> dict[str, str]:
        """Its version."""
        return {"prosody": await package_version("prosody")}

    async def close(self) -> None:
        """Stop it, and leave nothing behind."""
        self._child.stop(10)
        self._home.remove()
