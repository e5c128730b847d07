"""Counts inside a server worker: Python calls, and the objects of one connection. It knows no module of the product.

:mod:`tools.bench.trace` copies this file into a directory as ``sitecustomize.py`` and starts servers with that
directory in ``PYTHONPATH``, so that it works for any checkout. It needs nothing but the standard library.

A request is the file ``request.json``, followed by SIGUSR1; the answer is ``answer-<number>.json``. The requests:

``start``, ``stop``
    Record calls of the main thread in between. The answer to ``stop`` has ``calls``: for each call of a function of the
    product, in order, its name and, where the event loop delivered bytes by that call, the class that received them;
    and ``others``: how many calls went to Python functions of libraries.
``mark``, ``walk``
    The answer to ``walk`` describes the product's objects that were made in between (:func:`describe`).
"""

import asyncio
import functools
import gc
import json
import os
import signal
import sys
import types
from collections import Counter, deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

FOLDER, ROOT = "BENCH_TRACE_FOLDER", "BENCH_TRACE_ROOT"
"""Environment variables: the directory of requests, and the checkout whose code is counted."""
ARRIVALS = frozenset({"data_received", "buffer_updated"})
"""Methods by which an event loop delivers bytes to a protocol of asyncio's."""
MOST_CIRCLES = 100_000
_CONTAINERS = (
    dict,
    list,
    tuple,
    set,
    frozenset,
    deque,
    types.MethodType,
    types.FunctionType,
    types.CellType,
    types.BuiltinMethodType,
    types.MappingProxyType,
    functools.partial,
)
"""A reference through one of these counts as a reference of the object that holds it."""
_SHARED = (type, types.ModuleType, asyncio.AbstractEventLoop)
Graph = dict[int, set[int]]


class Product:
    """Which code and which objects belong to the product: those of files in its checkout, but for its ``.venv``."""

    def __init__(self, root: str) -> None:
        self._root = root.rstrip("/") + "/"
        self._names: dict[types.CodeType, str] = {}
        self._types: dict[type, bool] = {}

    def name(self, code: types.CodeType) -> str:
        """``file:function``; "" for code that is not the product's."""
        if code not in self._names:
            ours = self._contains(code.co_filename)
            self._names[code] = f"{code.co_filename[len(self._root) :]}:{code.co_qualname}" if ours else ""
        return self._names[code]

    def owns(self, thing: object) -> bool:
        """Whether the class of an object is the product's."""
        kind = type(thing)
        if kind not in self._types:
            module = sys.modules.get(getattr(kind, "__module__", ""))
            self._types[kind] = self._contains(getattr(module, "__file__", None) or "")
        return self._types[kind]

    def objects(self) -> list[object]:
        """Those that the garbage collector tracks."""
        gc.collect()
        return [each for each in gc.get_objects() if self.owns(each)]

    def _contains(self, file: str) -> bool:
        return file.startswith(self._root) and "/.venv/" not in file


class Recording:
    """Calls from its construction to :meth:`stop`."""

    def __init__(self, product: Product) -> None:
        self._product = product
        self.calls: list[tuple[str, str]] = []
        self.others = 0
        sys.setprofile(self._profile)

    def stop(self) -> None:
        """End the recording."""
        sys.setprofile(None)

    def _profile(self, frame: types.FrameType, event: str, _argument: object) -> None:
        if event != "call":
            return
        name = self._product.name(frame.f_code)
        if not name:
            self.others += 1
            return
        delivered = frame.f_code.co_name in ARRIVALS and not self._called_by_product(frame)
        self.calls.append((name, type(frame.f_locals.get("self")).__name__ if delivered else ""))

    def _called_by_product(self, frame: types.FrameType) -> bool:
        return frame.f_back is not None and bool(self._product.name(frame.f_back.f_code))


def describe(objects: Iterable[object], product: Product) -> dict[str, Any]:
    """The objects of one connection: how many of each class, and how they refer to each other.

    Those are the most objects that hang together by references in any direction; ``apart`` are the others (an event
    that waits to be written, for instance). ``knot`` is the size of the largest set of objects that all reach each
    other, ``circles`` the number of elementary circles. ``circles_with_loop`` also follows references through objects
    of libraries (transports, timers, tasks).
    """
    nodes = {id(each): each for each in objects}
    graph, with_loop = (
        {key: _references(each, nodes, product, through_libraries=through) for key, each in nodes.items()}
        for through in (False, True)
    )
    together = _together(with_loop)
    return {
        "objects": _classes(nodes[key] for key in nodes if key in together),
        "apart": _classes(nodes[key] for key in nodes if key not in together),
        "references": sum(map(len, graph.values())),
        "knot": max((len(each) for each in _components(graph)), default=0),
        "circles": count_circles(graph),
        "circles_with_loop": count_circles(with_loop),
    }


def _classes(objects: Iterable[object]) -> dict[str, int]:
    return dict(Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in objects))


def _together(graph: Graph) -> set[int]:
    """The largest set of nodes that hang together by references in any direction."""
    both_ways: Graph = {node: set(graph[node]) for node in graph}
    for node, others in graph.items():
        for other in others:
            both_ways[other].add(node)
    return max(({node} | _reachable(both_ways, node) for node in graph), key=len, default=set())


def _references(start: object, nodes: dict[int, object], product: Product, *, through_libraries: bool) -> set[int]:
    """Which of ``nodes`` an object refers to without another object of the product in between."""
    found: set[int] = set()
    seen: set[int] = {id(nodes)}
    waiting = _referents(start)
    while waiting:
        each = waiting.pop()
        if id(each) in nodes:
            found.add(id(each))
        elif id(each) not in seen and not isinstance(each, _SHARED) and not product.owns(each):
            seen.add(id(each))
            if through_libraries or isinstance(each, _CONTAINERS):
                waiting += _referents(each)
    return found


def _referents(thing: object) -> list[object]:
    if isinstance(thing, types.FunctionType):  # not its globals: they are the whole module
        return [thing.__closure__, thing.__defaults__, thing.__kwdefaults__]
    if isinstance(thing, types.FrameType):
        return list(thing.f_locals.values())
    return gc.get_referents(thing)


def _components(graph: Graph) -> list[set[int]]:
    """Sets of more than one node that all reach each other. (The graphs are small: no need for a clever way.)"""
    reach = {node: _reachable(graph, node) for node in graph}
    found = {frozenset(other for other in reach[node] if node in reach[other]) for node in graph}
    return [set(each) for each in found if len(each) > 1]


def _reachable(graph: Graph, start: int) -> set[int]:
    seen: set[int] = set()
    waiting = list(graph[start])
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting += graph[node]
    return seen


def count_circles(graph: Graph) -> int:
    """Elementary circles, an object that refers to itself included; at most :data:`MOST_CIRCLES`."""
    order = {node: number for number, node in enumerate(graph)}
    count = 0
    for start in graph:
        # Each circle is counted from the first of its nodes: later nodes alone are entered.
        path, on_path = [iter(graph[start])], [start]
        while path and count < MOST_CIRCLES:
            node = next(path[-1], None)
            if node is None:
                path.pop()
                on_path.pop()
            elif node == start:
                count += 1
            elif order[node] > order[start] and node not in on_path:
                path.append(iter(graph[node]))
                on_path.append(node)
    return count


class Worker:
    """Answers requests in the process that is looked into."""

    def __init__(self, folder: str, root: str) -> None:
        self._folder, self._product = Path(folder), Product(root)
        self._recording: Recording | None = None
        self._marked: list[object] = []

    def answer(self, *_signal: object) -> None:
        """Handle SIGUSR1."""
        recording, self._recording = self._recording, None
        if recording:
            recording.stop()
        request = json.loads((self._folder / "request.json").read_text(encoding="utf-8"))
        answer: dict[str, Any] = {}
        if request["do"] == "stop" and recording:
            answer = {"calls": recording.calls, "others": recording.others}
        elif request["do"] == "mark":
            self._marked = self._product.objects()  # kept, so that no new object gets the address of one of these
        elif request["do"] == "walk":
            known = set(map(id, self._marked))
            answer = describe([each for each in self._product.objects() if id(each) not in known], self._product)
            self._marked = []
        file = self._folder / f"answer-{request['number']}.json"
        file.with_suffix(".new").write_text(json.dumps(answer), encoding="utf-8")
        file.with_suffix(".new").rename(file)
        if request["do"] == "start":
            self._recording = Recording(self._product)


if FOLDER in os.environ and __name__ == "sitecustomize":
    signal.signal(signal.SIGUSR1, Worker(os.environ[FOLDER], os.environ[ROOT]).answer)
