"""The counting worker: on a knot and on calls that are known, and in a real worker."""

import asyncio
import functools
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.stack import Stack
from tools.bench.stack import RemoteProduct
from tools.bench.trace import Cycle, Tracer, connection_text, cycle_table, trace_connection, trace_cycles
from tools.bench.traced_worker import Product, Recording, count_circles, describe

HERE = Product(str(Path(__file__).parent))


class Node:
    def __init__(self, **references: Any) -> None:
        self.__dict__.update(references)

    def call(self) -> None:
        self.called = True


def test_objects_that_refer_to_each_other_are_a_knot() -> None:
    shared = Node()
    first, second, third, alone = Node(), Node(), Node(), Node(shared=shared)
    first.to, second.to, third.to = [second], {"key": (third,)}, functools.partial(print, first)
    found = describe([first, second, third, alone], HERE)
    assert (found["objects"], found["apart"]) == ({f"{__name__}.Node": 3}, {f"{__name__}.Node": 1})
    assert (found["references"], found["knot"], found["circles"]) == (3, 3, 1)

    second.back, first.to_itself = first.call, first.call
    found = describe([first, second, third, alone], HERE)
    assert (found["references"], found["knot"], found["circles"]) == (5, 3, 3)


def test_a_circle_through_another_object_of_the_product_or_of_a_library_is_kept_apart() -> None:
    other, future = Node(), asyncio.Future(loop=asyncio.new_event_loop())
    node = Node(other=other)
    other.back = node
    assert describe([node], HERE)["circles_with_loop"] == 0, "other was there before"
    future.add_done_callback(lambda _: node.call())
    node.future = future
    found = describe([node], HERE)
    assert (found["circles"], found["circles_with_loop"]) == (0, 1)
    future.get_loop().close()


@pytest.mark.parametrize(("size", "circles"), [(1, 0), (2, 1), (3, 5), (4, 20), (5, 84)])
def test_circles_of_a_graph_in_which_all_refer_to_all(size: int, circles: int) -> None:
    assert count_circles({node: set(range(size)) - {node} for node in range(size)}) == circles


def test_calls_of_the_product_are_recorded_and_those_of_libraries_counted() -> None:
    class Receiver:
        def data_received(self, data: bytes) -> None:
            Node(data=data).call()

    loop = asyncio.new_event_loop()
    loop.call_soon(Receiver().data_received, b"x")
    loop.call_soon(loop.stop)
    recording = Recording(HERE)
    Node()
    loop.run_forever()
    functools.reduce(lambda total, each: total + each, [1, 2, 3])
    recording.stop()
    Node()
    loop.close()
    test = "test_trace.py:test_calls_of_the_product_are_recorded_and_those_of_libraries_counted.<locals>"
    assert recording.calls == [
        ("test_trace.py:Node.__init__", ""),
        (f"{test}.Receiver.data_received", "Receiver"),
        ("test_trace.py:Node.__init__", ""),
        ("test_trace.py:Node.call", ""),
        (f"{test}.<lambda>", ""),
        (f"{test}.<lambda>", ""),
    ]
    assert recording.others > 2
    assert sys.getprofile() is None


def test_a_cycle_is_divided_where_bytes_arrive_for_another_class() -> None:
    calls = [("a:receive", "Client"), ("a:x", ""), ("b:read", "Redis"), ("b:read", "Redis"), ("a:receive", "Client")]
    cycle = Cycle(1, calls, 3)
    assert cycle.stretches() == [["a:receive", "a:x"], ["b:read", "b:read"], ["a:receive"]]
    lines = cycle_table([cycle, Cycle(2, calls, 3)]).splitlines()
    assert lines[2] == "| 1 at a time | 5 | 3 | 2 | 3 |"
    assert lines[3] == "| … chat → first commands to Redis | 2 | 2 | 1 |  |"
    assert lines[-1] == "| 2 at a time | 2.5 | 3 | 2 | 1.5 |"


async def test_a_real_worker_counts_its_cycles_and_its_connections(stack: Stack) -> None:
    tracer = Tracer()
    try:
        group = stack.start(workers=1, **tracer.env)
        (server,) = group.servers
        environment = RemoteProduct(group.url)
        one, several = await trace_cycles(environment, tracer, server.pid, (1, 8))
        connection = await trace_connection(environment, tracer, server.pid)
    finally:
        tracer.close()
    assert len(one.stretches()) >= 4, "chat, answers, ack, answers"
    assert all((Path(__file__).parents[3] / name.partition(":")[0]).exists() for name, _ in one.calls)
    assert len(one.calls) > len(several.calls) / 8 > 10
    assert min(connection["objects"].values()) == 1
    # The product's own bounds: when one is broken, look at the calls that `run.py bench trace --out` writes down. What
    # runs periodically may fall into the cycle; hence the margin above the 326 calls of one that it does not fall into.
    assert sum(connection["objects"].values()) <= 12
    assert connection["circles"] <= 5
    assert len(one.calls) <= 350
    assert f"objects of a connection: {sum(connection['objects'].values())}," in connection_text(connection)
