"""From a command line to a running product, and back to nothing."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.devstack.binaries import MissingServerError
from tools.devstack.options import Options
from tools.devstack.paths import UnsafePathError, private_directory
from tools.devstack.probe import CannotListenError, require_address
from tools.devstack.process import ChildError
from tools.devstack.product import Product
from tools.devstack.runfile import NAME, AlreadyRunningError, ChildRegistry, RunFile, end_leftovers, only_one, read_run
from tools.devstack.serving import Serving, choose_port
from tools.devstack.storage import SECRET_NAME, Storage, secret_of
from tools.devstack.terminal import StopRequested, complain, say, stop_on_signals

TROUBLE = (AlreadyRunningError, CannotListenError, ChildError, MissingServerError, UnsafePathError)

ONE_ADDRESS = {
    "LOGINS_PER_ADDRESS_PER_MINUTE": "600",
    "LOGINS_PER_ADDRESS_BURST": "1000",
    "SIGN_UPS_PER_HOUR": "1000",
    "CODES_PER_ADDRESS_PER_HOUR": "1000",
    "UPGRADES_PER_ADDRESS_PER_SECOND": "100",
    "UPGRADES_PER_ADDRESS_BURST": "1000",
    "LOOKUPS_PER_ADDRESS_PER_MINUTE": "600",
    "CONNECTIONS_PER_ADDRESS": "1000",
}
"""Limits of an address, for where everybody comes from this machine; unless the environment says otherwise."""


@dataclass(frozen=True)
class Served:
    """What is served, where it is not the product alone.

    :param module: what the ``sanic`` command takes
    :param env: instead of this process' environment
    :param prepare: called with the data directory when nobody else has it, before anything is started on it
    :param announce: called with the address when people can come, and says so
    """

    module: str = "app"
    env: Mapping[str, str] | None = None
    prepare: Callable[[Path], None] = lambda _data: None
    announce: Callable[[str], None] | None = None


PRODUCT = Served()


def main(options: Options, served: Served = PRODUCT) -> int:
    """Run until stopped; the exit code."""
    try:
        with stop_on_signals():
            require_address(options.host)
            join(options, options.join) if options.join else run(options, served)
    except StopRequested:
        say("Stopped. Everything is kept for the next start.")
        return 0
    except TROUBLE as trouble:
        complain(str(trouble))
        return 1
    return 0


def run(options: Options, served: Served = PRODUCT) -> None:
    """Storage, migrations, servers and background worker, in this order; the opposite at the end.

    :raises StopRequested: the only good end
    """
    data = private_directory(options.data)
    with only_one(data):
        if left := end_leftovers(data):
            say(f"  ended {left} processes that an earlier, killed start had left")
        for stale in data.glob("run*.json"):
            stale.unlink()
        served.prepare(data)
        registry = ChildRegistry(data / "children.json")
        storage = Storage(data, os.environ if served.env is None else served.env)
        try:
            _run(options, data, registry, storage, served)
        finally:
            storage.stop()
            registry.close()


def _run(options: Options, data: Path, registry: ChildRegistry, storage: Storage, served: Served) -> None:
    storage.start(registry)
    say(f"  Redis      {'Valkey, ' + str(data / 'valkey') if storage.valkey else 'yours (REDIS_URL)'}")
    if storage.valkey:
        say(f"  allocator  {storage.valkey.allocator.told}")
    say(f"  PostgreSQL {storage.postgres.home.data if storage.postgres else 'yours (DATABASE_URL)'}")
    given = "JWT_SECRET" in storage.env
    if not given:
        storage.env["JWT_SECRET"] = secret_of(data)
    product = Product({**ONE_ADDRESS, **storage.env}, data / "logs", served.module)
    product.migrate()
    say("  database   up to date")
    facts = {"secret_file": None if given else str(data / SECRET_NAME)}
    file = RunFile(data / NAME)
    Serving(options, choose_port(options), product, registry, file, announce=served.announce).run(facts)


def join(options: Options, data: Path) -> None:
    """More servers for a running instance.

    :raises AlreadyRunningError: when there is none, or it cannot be joined
    :raises UnsafePathError: when it is not ours to read
    :raises StopRequested: the only good end
    """
    try:
        running = read_run(data / NAME)
    except OSError as error:
        raise UnsafePathError(f"Cannot read what runs on {data}: {error.strerror}") from None
    if running is None:
        raise AlreadyRunningError(f"Nothing runs on {data}, so nothing can be joined. Start it first: python3 run.py")
    env = {**ONE_ADDRESS, **os.environ, "REDIS_URL": running["redis_url"], "DATABASE_URL": running["database_url"]}
    env["JWT_SECRET"] = _secret_to_join(running, env)
    port = choose_port(options)
    registry = ChildRegistry(data / f"children.{port}.json")
    try:
        product, file = Product(env, data / "logs"), RunFile(data / f"run.{port}.json")
        Serving(options, port, product, registry, file, joined=int(running["pid"])).run({})
    finally:
        registry.close()


def _secret_to_join(running: dict[str, Any], env: Mapping[str, str]) -> str:
    """Tokens of one server must be good on the other."""
    if kept := running["secret_file"]:
        return Path(kept).read_text(encoding="ascii").strip()
    if given := env.get("JWT_SECRET"):
        return given
    raise AlreadyRunningError("The instance to join was started with a JWT_SECRET of its own: set the same one here.")
