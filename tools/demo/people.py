"""Asha and Ravi, the two people of the demo: made once for each data directory, and the only ones it shows."""

import json
import secrets
import shutil
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.devstack.paths import UnsafePathError
from tools.devstack.process import ChildError
from tools.devstack.runfile import write_private

FILE = "demo.json"
NAMES = {"a": ("Asha", "919876543205"), "b": ("Ravi", "919876543204")}
"""The phone -> whose it is. By their numbers the page gives them the colours of static/demo.css."""
SIGN_UP_SECONDS = 15.0


@dataclass(frozen=True)
class DemoPerson:
    """Somebody on one of the two phones, ``a`` or ``b``."""

    phone: str
    name: str
    mobile: str
    password: str


@dataclass(frozen=True)
class DemoFile:
    """What the demo keeps besides the product's own data. ``instance`` names the data directory's content: a browser
    that knows another one forgets what it kept."""

    instance: str
    people: tuple[DemoPerson, ...]


def prepare(directory: Path, *, fresh: bool) -> None:
    """Make the file of a data directory that nobody else uses now.

    :param fresh: delete everything that is kept there first
    :raises UnsafePathError: it is not the demo's to delete, or to use
    """
    path = directory / FILE
    if not path.exists() and (directory / "valkey").exists():
        raise UnsafePathError(f"{directory} is not the demo's: name a directory of its own with --data")
    if fresh and path.exists():
        for name in ("valkey", "postgres"):
            shutil.rmtree(directory / name, ignore_errors=True)
        path.unlink()
    if not path.exists():
        people = [DemoPerson(phone, *who, secrets.token_urlsafe(16)) for phone, who in NAMES.items()]
        found = {"instance": secrets.token_hex(8), "people": [asdict(each) for each in people]}
        write_private(path, json.dumps(found, indent=2) + "\n")


def read(directory: Path) -> DemoFile:
    """What :func:`prepare` made.

    :raises OSError: it made nothing there
    """
    found = json.loads((directory / FILE).read_text(encoding="utf-8"))
    return DemoFile(found["instance"], tuple(DemoPerson(**each) for each in found["people"]))


def sign_up(url: str, people: tuple[DemoPerson, ...]) -> None:
    """As anybody does, over HTTP. Who has an account from an earlier start keeps it.

    :raises ChildError: the product refused
    """
    for person in people:
        body = {"name": person.name, "mobileNo": person.mobile, "password": person.password}
        request = urllib.request.Request(  # noqa: S310 - the address is ours
            f"{url}/auth/signin", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            urllib.request.urlopen(request, timeout=SIGN_UP_SECONDS).close()  # noqa: S310 - as above
        except urllib.error.HTTPError as error:
            refused = json.loads(error.read())
            if refused["code"] != "already_exists":
                raise ChildError(f"{person.name} could not sign up: {refused['message']}") from None
        except OSError as error:
            raise ChildError(f"{person.name} could not sign up: {error}") from None
