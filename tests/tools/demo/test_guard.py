"""Who may use the demo."""

import pytest

from protocol.errors import ApiError
from tools.demo.guard import admit

HOST = "127.0.0.1:5000"
OWN = {"host": HOST, "origin": f"http://{HOST}", "x-demo": "1", "sec-fetch-site": "same-origin"}


@pytest.mark.parametrize("host", [HOST, "localhost:5000", "[::1]:5000", "LOCALHOST:5000"])
def test_its_own_page_may(host: str) -> None:
    admit({**OWN, "host": host, "origin": f"http://{host}"}, "127.0.0.1", press=True)
    admit({"host": host}, "::1", press=False)


@pytest.mark.parametrize(
    ("change", "address"),
    [
        ({"host": "evil.example:5000", "origin": "http://evil.example:5000"}, "127.0.0.1"),
        ({"host": ""}, "127.0.0.1"),
        ({"host": "[::1"}, "127.0.0.1"),
        ({"origin": "http://evil.example"}, "127.0.0.1"),
        ({"origin": "http://127.0.0.1:5001"}, "127.0.0.1"),
        ({"origin": "null"}, "127.0.0.1"),
        ({"sec-fetch-site": "cross-site"}, "127.0.0.1"),
        ({"sec-fetch-site": "same-site"}, "127.0.0.1"),
        ({}, "192.0.2.1"),
    ],
)
@pytest.mark.parametrize("press", [True, False])
def test_nobody_else_may(change: dict[str, str], address: str, press: bool) -> None:
    with pytest.raises(ApiError, match="forbidden"):
        admit({**OWN, **change}, address, press=press)


def test_a_button_needs_the_header_that_a_form_of_another_site_cannot_send() -> None:
    without = {name: value for name, value in OWN.items() if name != "x-demo"}
    admit(without, "127.0.0.1", press=False)
    with pytest.raises(ApiError, match="forbidden"):
        admit(without, "127.0.0.1", press=True)
