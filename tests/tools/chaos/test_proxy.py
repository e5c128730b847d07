"""The proxy breaks connections as its modes say."""

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as CutError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as SilentError

from tests.support.processes import patient
from tools.chaos.proxy import Mode, Proxy


@pytest.fixture
def proxy(valkey_url: str, tmp_path: Path) -> Iterator[Proxy]:
    made = Proxy(tmp_path / "p.sock", Path(valkey_url.removeprefix("unix://").partition("?")[0]))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def direct(valkey_url: str) -> Iterator["Redis"]:
    """A client without the proxy, which sees what really happened."""
    with Redis.from_url(valkey_url) as client:
        client.flushall()
        yield client


def through(proxy: Proxy) -> "Redis":
    return Redis(unix_socket_path=str(proxy.front), socket_timeout=0.5, single_connection_client=True)


def listener(proxy: Proxy) -> "Redis":
    """A client whose subscription to ``c`` is confirmed."""
    client = through(proxy)
    client.connection.send_command("SUBSCRIBE", "c")
    assert client.connection.read_response()[0] == b"subscribe"
    return client


def silent(client: "Redis") -> bool:
    return not client.connection.can_read(timeout=0.3)


def hears(client: "Redis") -> bytes:
    return bytes(client.connection.read_response()[2])


def test_it_passes_both_kinds_and_tells_them_apart(proxy: Proxy, direct: "Redis") -> None:
    asks, listens = through(proxy), listener(proxy)
    assert asks.set("a", "x" * 300_000)
    assert direct.strlen("a") == 300_000
    direct.publish("c", "hello")
    assert hears(listens) == b"hello"
    assert proxy.count() == {"commands": 1, "pubsub": 1}


def test_an_end_is_passed_on(proxy: Proxy, direct: "Redis") -> None:
    asks = through(proxy)
    number = asks.client_id()
    asks.close()
    deadline = time.monotonic() + 2
    while number in {int(each["id"]) for each in direct.client_list()} and time.monotonic() < deadline:
        time.sleep(0.01)
    assert number not in {int(each["id"]) for each in direct.client_list()}
    assert not proxy.count()


def test_a_reset_is_passed_on(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET) as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        proxy = Proxy(tmp_path / "r.sock", server.getsockname())
        proxy.start()
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(proxy.front))
                client.sendall(b"anybody there?")
                time.sleep(0.2)
                server.close()  # with a connection it never accepted
                client.settimeout(2)
                assert client.recv(64) == b"", "an end is an end, whichever way it came"
        finally:
            proxy.stop()


def test_cut_ends_connections_and_accepts_none(proxy: Proxy, direct: "Redis") -> None:
    asks, listens = through(proxy), listener(proxy)
    proxy.set(Mode.CUT, "commands")
    with pytest.raises(CutError):
        asks.set("a", 1)
    with pytest.raises(CutError):
        through(proxy).set("a", 1)
    assert direct.get("a") is None
    direct.publish("c", "still")
    assert hears(listens) == b"still"
    proxy.heal()
    assert through(proxy).set("a", 2)


def test_cut_of_pubsub_leaves_commands_alone(proxy: Proxy) -> None:
    asks, listens = through(proxy), listener(proxy)
    proxy.set(Mode.CUT, "pubsub")
    with pytest.raises(CutError):
        hears(listens)
    assert asks.set("a", 1)
    with pytest.raises(CutError):
        listener(proxy)


def test_a_reply_comes_later_and_the_order_stays(proxy: Proxy) -> None:
    asks = through(proxy)
    asks.set("a", 0)
    proxy.set(Mode.DELAY, seconds=0.2)
    began = time.monotonic()
    assert asks.incr("a") == 1
    assert 0.2 <= time.monotonic() - began < patient(0.4)
    asks.connection.send_command("INCR", "a")
    proxy.heal()  # what is written now must not overtake what was written before
    asks.connection.send_command("INCR", "a")
    assert [asks.connection.read_response(), asks.connection.read_response()] == [2, 3]


def test_a_black_hole_drops_everything_silently(proxy: Proxy, direct: "Redis") -> None:
    asks = through(proxy)
    asks.ping()
    proxy.set(Mode.BLACK_HOLE, "commands")
    with pytest.raises(SilentError):
        asks.set("a", 1)
    with socket.socket(socket.AF_UNIX) as fresh:  # accepted, and then nothing
        fresh.settimeout(0.3)
        fresh.connect(str(proxy.front))
        fresh.sendall(b"SET b 1\r\n")
        with pytest.raises(TimeoutError):
            fresh.recv(64)
        proxy.heal()
        fresh.sendall(b"SET b 1\r\n")  # it lost bytes: dead for good
        with pytest.raises(TimeoutError):
            fresh.recv(64)
    assert direct.keys() == []
    assert through(proxy).set("a", 1)


def test_without_replies_commands_are_still_executed(proxy: Proxy, direct: "Redis") -> None:
    asks = through(proxy)
    proxy.set(Mode.NO_REPLIES, "commands")
    with pytest.raises(SilentError):
        asks.set("a", 1)
    assert direct.get("a") == b"1"


def test_a_half_open_subscriber_gets_nothing_more(proxy: Proxy, direct: "Redis") -> None:
    listens = listener(proxy)
    proxy.set(Mode.NO_REPLIES, "pubsub")
    assert direct.publish("c", "lost") == 1
    assert silent(listens)
    proxy.heal()
    direct.publish("c", "lost, too")
    assert silent(listens)


def test_without_commands_messages_still_arrive(proxy: Proxy, direct: "Redis") -> None:
    asks, listens = through(proxy), listener(proxy)
    proxy.set(Mode.NO_COMMANDS)
    with pytest.raises(SilentError):
        asks.set("a", 1)
    assert direct.get("a") is None
    direct.publish("c", "news")
    assert hears(listens) == b"news"


def test_the_next_command_runs_and_its_reply_is_cut_off_once(proxy: Proxy, direct: "Redis") -> None:
    asks = through(proxy)
    asks.ping()
    proxy.set(Mode.CUT_AFTER_NEXT, "commands")
    asks.connection.send_command("INCR", "a")
    with pytest.raises(CutError):
        asks.connection.read_response()
    assert direct.get("a") == b"1"
    assert through(proxy).incr("a") == 2


def test_abandoned_connections_are_silent_while_new_ones_pass(proxy: Proxy, direct: "Redis") -> None:
    asks = through(proxy)
    number = asks.client_id()
    proxy.abandon()
    with pytest.raises(SilentError):
        asks.set("a", 1)
    assert through(proxy).set("b", 1)
    assert number in {int(each["id"]) for each in direct.client_list()}, "the other end noticed"
    assert direct.keys() == [b"b"]


def test_it_connects_elsewhere_after_a_failover(proxy: Proxy, direct: "Redis", own_valkey: object) -> None:
    asks = through(proxy)
    asks.set("a", 1)
    proxy.retarget(own_valkey.socket)  # type: ignore[attr-defined]
    with pytest.raises(CutError):
        asks.get("a")
    assert through(proxy).get("a") is None
    assert direct.get("a") == b"1"


def test_a_client_is_refused_when_the_server_is_gone(proxy: Proxy, tmp_path: Path) -> None:
    proxy.retarget(tmp_path / "nothing")
    with pytest.raises(RedisError):
        through(proxy).ping()


def test_the_server_learns_of_a_closed_client_when_the_network_is_back(proxy: Proxy, direct: "Redis") -> None:
    asks = through(proxy)
    number = asks.client_id()
    proxy.set(Mode.BLACK_HOLE)
    with pytest.raises(SilentError):  # and gives up
        asks.ping()
    time.sleep(0.1)
    assert number in {int(each["id"]) for each in direct.client_list()}
    proxy.heal()
    time.sleep(0.1)
    assert number not in {int(each["id"]) for each in direct.client_list()}


async def test_it_listens_on_tcp_too(valkey_url: str) -> None:
    made = Proxy(("127.0.0.1", 0), Path(valkey_url.removeprefix("unix://").partition("?")[0]))
    made.start()
    try:
        reader, writer = await asyncio.open_connection(*made.front)
        writer.write(b"PING\r\n")
        assert await reader.read(64) == b"+PONG\r\n"
        writer.close()
    finally:
        await asyncio.to_thread(made.stop)
