"""Which codes a handler can answer, read from its source: what it raises, and what the functions it calls say of
themselves (``:raises ApiError:``). Of functions that say nothing, the source is read in turn."""

import ast
import inspect
import re
import textwrap
import types
import typing
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from protocol.errors import ERRORS, ApiError

OURS = ("handlers", "accounts", "delivery", "protocol", "server")
RAISES = re.compile(r":raises ApiError:(.*?)(?=\n\s*:|\Z)", re.DOTALL)


def said(function: Callable[..., Any]) -> set[str]:
    """The codes in the docstring."""
    text = RAISES.findall(inspect.getdoc(function) or "")
    return set(re.findall(r"``(\w+)``", " ".join(text))) & set(ERRORS)


@cache
def raised(function: Callable[..., Any]) -> frozenset[str]:
    """Every code it can raise."""
    return frozenset(_Reader(inspect.unwrap(function)).codes())


def _is_ours(function: Any) -> bool:
    return isinstance(function, types.FunctionType) and function.__module__.split(".")[0] in OURS


def _hints(thing: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(thing)
    except (NameError, TypeError):
        return {}


class _Reader:
    """Follows the names in one function, as far as annotations tell what they are."""

    def __init__(self, function: Callable[..., Any], seen: frozenset[Any] = frozenset()) -> None:
        self._function = function
        self._seen = seen | {function}
        self._globals = function.__globals__
        self._types = _hints(function)
        self._tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        # A name may be used before the line that tells its type, in a nested function.
        for _ in range(2):
            for target, value in self._assignments():
                kind = self._type(value)
                if kind is not None:
                    self._types[target] = kind

    def codes(self) -> set[str]:
        found: set[str] = set()
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call):
                called = self._object(node.func)
                if called is ApiError and node.args and isinstance(node.args[0], ast.Constant):
                    found.add(str(node.args[0].value))
                elif _is_ours(inspect.unwrap(called) if callable(called) else called):
                    found |= self._of(inspect.unwrap(called))
        return found

    def _of(self, called: Callable[..., Any]) -> set[str]:
        if called in self._seen:
            return set()
        mine = said(called)
        if "Never raises." in (inspect.getdoc(called) or ""):
            return set()
        if mine and not called.__module__.startswith("handlers"):
            return mine
        return mine | _Reader(called, self._seen).codes()

    def _assignments(self) -> Iterator[tuple[str, ast.expr]]:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Assign) and len(node.targets) == 1:
                target, value = node.targets[0], node.value
                pairs = [(target, value)]
                if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                    pairs = list(zip(target.elts, value.elts, strict=True))
                yield from ((each.id, said) for each, said in pairs if isinstance(each, ast.Name))

    def _type(self, node: ast.expr) -> Any:
        """The class of what the expression gives, or None."""
        if isinstance(node, ast.Await):
            return self._type(node.value)
        if isinstance(node, ast.Name):
            return self._types.get(node.id)
        if isinstance(node, ast.Call):
            called = self._object(node.func)
            return called if isinstance(called, type) else _hints(called).get("return") if callable(called) else None
        if isinstance(node, ast.Attribute):
            owner = self._type(node.value)
            return _hints(owner).get(node.attr) if isinstance(owner, type) else None
        return None

    def _object(self, node: ast.expr) -> Any:
        """The function or class that the expression names, or None."""
        if isinstance(node, ast.Name):
            return None if node.id in self._types else self._globals.get(node.id)
        if isinstance(node, ast.Attribute):
            owner = self._type(node.value)
            if isinstance(owner, type):
                return getattr(owner, node.attr, None)
            owner = self._object(node.value)
            return getattr(owner, node.attr, None) if isinstance(owner, types.ModuleType | type) else None
        return None
