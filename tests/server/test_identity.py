import re
from unittest.mock import patch

from server.identity import make_server_id


def test_two_runs_of_a_worker_differ_and_both_name_it() -> None:
    first, second = make_server_id("Sanic-Server-0-0"), make_server_id("Sanic-Server-0-0")
    assert first != second
    assert ".Sanic-Server-0-0." in first


def test_odd_hosts_and_no_worker_make_a_plain_name() -> None:
    with patch("server.identity.socket.gethostname", return_value="höst {name}:" + "x" * 200):
        made = make_server_id("")
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,90}", made)
    assert ".alone." in made
