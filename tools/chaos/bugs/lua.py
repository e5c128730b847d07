"""Breaks scripts in the processes of the product."""

from collections.abc import Callable
from hashlib import sha1
from typing import Final

from delivery import scripts
from delivery.scripts import Script
from tools.chaos.breakages import Breakage

PRELUDE: Final = """
local plain = redis
local function tapped(run)
  return function(command, ...)
    local args, most = {...}, select('#', ...)
    --TAPS
    return run(command, unpack(args, 1, most))
  end
end
local redis = setmetatable({call = tapped(plain.call), pcall = tapped(plain.pcall)}, {__index = plain})
"""


def script(name: str) -> Script:
    """The script object, which all modules share.

    :raises AttributeError: there is none of this name
    """
    made: Script = getattr(scripts, name.upper())
    return made


def broken(*breakages: Breakage) -> Callable[[], None]:
    """A patch that breaks scripts. It raises ``LookupError`` when a text to be replaced is not in the script."""

    def patch() -> None:
        for breakage in breakages:
            for name in breakage.scripts:
                _replace(script(name), breakage)

    return patch


def tap(*names: str, lua: str) -> Breakage:
    """Lua that sees each ``command`` with its arguments ``args``, and may answer in Redis' place."""
    return Breakage(names, tap=lua)


def instead(name: str, before: str, after: str) -> Breakage:
    """Another text in a script."""
    return Breakage((name,), replace=(before, after))


def _replace(script: Script, breakage: Breakage) -> None:
    text = script.text
    if breakage.replace:
        before, after = breakage.replace
        if before not in text:
            raise LookupError(f"{script.name} does not hold {before!r} any more")
        text = text.replace(before, after)
    if breakage.tap:
        first, _, rest = text.partition("\n")
        text = first + PRELUDE.replace("--TAPS", breakage.tap) + "\n" + rest
    # The object is changed in place, because other modules have imported it already.
    for field, value in {"text": text, "sha": sha1(text.encode(), usedforsecurity=False).hexdigest()}.items():
        object.__setattr__(script, field, value)
