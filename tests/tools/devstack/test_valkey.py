"""The embedded Valkey: what it keeps, and what it survives."""

import stat
import time
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import TimeoutError as RedisTimeoutError

from tests.support.processes import patient
from tools.devstack.paths import socket_directory
from tools.devstack.process import ChildError, birth
from tools.devstack.valkey import Valkey


def client(server: Valkey) -> Redis:
    return Redis.from_url(server.url, decode_responses=True)


def test_what_it_acknowledged_survives_kill_9(own_valkey: Valkey) -> None:
    before = own_valkey.pid
    for number in range(200):
        client(own_valkey).xadd("stream", {"n": number})
    own_valkey.kill()
    assert not own_valkey.answers()
    own_valkey.start()
    assert own_valkey.pid != before
    assert client(own_valkey).xlen("stream") == 200


def test_frozen_it_can_still_be_stopped(own_valkey: Valkey) -> None:
    own_valkey.pause()
    began = time.monotonic()
    own_valkey.stop()
    assert time.monotonic() - began < patient(2)
    assert birth(own_valkey.pid) is None


def test_frozen_and_thawed_it_goes_on(own_valkey: Valkey) -> None:
    own_valkey.pause()
    with Redis.from_url(own_valkey.url, socket_timeout=0.2) as impatient, pytest.raises(RedisTimeoutError):
        impatient.ping()
    own_valkey.resume()
    assert own_valkey.answers()


def test_its_socket_is_out_of_others_reach(own_valkey: Valkey) -> None:
    assert stat.S_IMODE(own_valkey.socket.parent.stat().st_mode) == 0o700


def test_when_it_cannot_start_it_says_why(tmp_path: Path) -> None:
    broken = Valkey(tmp_path / "valkey", socket_directory(tmp_path), appendonly=True, options={"maxmemory": "nonsense"})
    with pytest.raises(ChildError, match="maxmemory"):
        broken.start()
