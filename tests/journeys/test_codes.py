"""A number is proven by a code that the receiver printed in docs/codes.md hands over; and what ``log`` prints."""

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.people import NO_TLS, PASSWORD, new_mobile
from tests.support.stack import Stack
from tools.devstack.process import wait_until

PAGE = Path(__file__).parents[2] / "docs" / "codes.md"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """The example as printed, running; its port, and what it prints."""
    (source,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    script, output = tmp_path / "receiver.py", tmp_path / "printed"
    script.write_text(source, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {"SIGNUP_CODE_SECRET": SECRET, "PORT": str(port)}
    with output.open("wb") as printed, subprocess.Popen([sys.executable, script], stdout=printed, env=env) as process:
        assert wait_until(lambda: _listens(port), 20)
        yield port, output
        process.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _sent(output: Path, mobile: str) -> list[str]:
    return re.findall(rf"^to {mobile}: your code is ([0-9]{{6}})$", output.read_text(), re.MULTILINE)


def test_a_number_is_proven_and_a_password_reset_by_the_receiver_of_the_docs(
    stack: Stack, receiver: tuple[int, Path]
) -> None:
    port, output = receiver
    webhook = {"SIGNUP_CODE": "webhook", "SIGNUP_CODE_URL": f"http://127.0.0.1:{port}/", "SIGNUP_CODE_SECRET": SECRET}
    server = stack.start(workers=1, **webhook)
    strange = stack.start(workers=1, **webhook | {"SIGNUP_CODE_SECRET": "whsec_" + "A" * 32})
    mobile = new_mobile()
    form = {"name": "Asha", "mobileNo": mobile, "password": PASSWORD}
    with httpx.Client(base_url=server.url, verify=NO_TLS, timeout=15) as client:
        assert client.post("/auth/signin", json=form).json()["code"] == "code_missing"
        refused = httpx.post(f"{strange.url}/v1/codes", json={"mobileNo": mobile}, verify=NO_TLS)
        assert (refused.status_code, refused.json()["code"]) == (503, "code_not_sent"), "signed with another secret"
        client.post("/v1/codes", json={"mobileNo": mobile}).raise_for_status()
        (code,) = _sent(output, mobile)
        client.post("/auth/signin", json=form | {"code": code}).raise_for_status()
        client.post("/v1/codes", json={"mobileNo": mobile}).raise_for_status()
        code = _sent(output, mobile)[-1]
        reset = {"mobileNo": mobile, "code": code, "newPassword": "another horse"}
        client.post("/auth/reset", json=reset).raise_for_status()
        login = {"mobileNo": mobile, "password": "another horse"}
        client.post("/auth/login", json=login).raise_for_status()
    for group in (server, strange):
        logged = group.log_text()
        assert not any(secret in logged for secret in (code, SECRET, "another horse")), logged
        assert f"{port}/" not in logged


def test_for_development_the_code_is_in_the_log(stack: Stack) -> None:
    server = stack.start(workers=1, SIGNUP_CODE="log")
    mobile = new_mobile()
    with httpx.Client(base_url=server.url, verify=NO_TLS, timeout=15) as client:
        client.post("/v1/codes", json={"mobileNo": mobile}).raise_for_status()
        (code,) = re.findall(r'"code": "([0-9]{6})"', server.log_text())
        form = {"name": "Asha", "mobileNo": mobile, "password": PASSWORD, "code": code}
        client.post("/auth/signin", json=form).raise_for_status()
