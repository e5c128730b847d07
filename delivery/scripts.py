"""The Lua scripts: one verb a file, in ``lua/``. A file that begins with ``_`` is a fragment, which scripts share.

Redis has no ``require``: ``--@use _name`` stands for the text of a fragment, or for definitions generated here, so that
Lua and Python read the same names. A fragment names what it uses itself, and is put into a script once. Where it is
indented, it is for that block alone: each run of a script makes every function anew that stands outside of the blocks
that it does not enter, so what is rarely needed belongs into a block.

A script binds each of its keys at its top, as ``local mailbox = KEYS[1] -- stream``. The names are those of
:class:`delivery.keys.Person`, which spells the keys in the order the script wants.
"""

import hashlib
import re
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from delivery import keys
from protocol.stored_entries import CHAT, LAYOUTS, Layout

FOLDER: Final = Path(__file__).with_name("lua")
_USE: Final = re.compile(r"^( *)--@use (_\w+)\n", re.MULTILINE)
_USES: Final = re.compile(r"^( *)--@use _\w+\n(?:\1--@use _\w+\n)*", re.MULTILINE)
"""Lines of one block, one after another."""
_KEY: Final = re.compile(r"^local (\w+) = KEYS\[\d+\]", re.MULTILINE)
_FUNCTION: Final = re.compile(r"(?:^--[^@\n][^\n]*\n)*^local function (\w+)\(.*?^end\n", re.MULTILINE | re.DOTALL)
_COMMENT: Final = re.compile(r"--[^\n]*")
_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, eq=False)
class Script:
    """A script as Redis knows it.

    :param name: its verb, for logs and metrics
    :param text: the whole Lua source
    :param sha: hex SHA-1 of the source, what EVALSHA takes
    :param keys: what its keys are called, in its order
    """

    name: str
    text: str
    sha: str
    keys: tuple[str, ...]


# ---- what Lua and Python must agree on


def _constant(name: str, value: str | int) -> str:
    return f"local {name} = {value}" if isinstance(value, int) else f"local {name} = '{value}'"


def _layout(layout: Layout) -> Iterator[tuple[str, str]]:
    """Where each value stands (from 1), and a function that gives the fields as XADD takes them."""
    for field in layout.fields:
        name = f"{layout.name}_{field}".upper()
        yield name, _constant(name, layout.index(field) + 1)
    given = [field for field in layout.fields if field != "kind"]
    written = {field: field if field in given else layout.name.upper() for field in layout.fields}
    words = [f"'{letter}', {written[field]}" for field, letter in layout.fields.items()]
    name = f"{layout.name}_fields"
    yield name, f"local function {name}({', '.join(given)}) return {', '.join(words)} end"


def _stored_entries() -> Iterator[tuple[str, str]]:
    yield "ENTRY_KIND", _constant("ENTRY_KIND", CHAT.index("kind") + 1)
    for layout in LAYOUTS:
        if layout.kind:
            yield layout.name.upper(), _constant(layout.name.upper(), layout.kind)
        yield from _layout(layout)


def _constants(*names: str) -> dict[str, str]:
    return {name: _constant(name, getattr(keys, name)) for name in names}


GENERATED: Final = {
    "_stored_entries": dict(_stored_entries()),
    "_channels": _constants("CHANNEL_PREFIX", "ENTRY_WAITS", "PRIVACY_CHANGED", "PRESENCE_CHANGED", "DEVICES_CHANGED"),
    "_entry_states": _constants("ENTRY_ACKNOWLEDGED"),
    "_own_chats": _constants("OWN_CHATS"),
    "_everything": {"EVERYTHING": f"local EVERYTHING = {{{', '.join(keys.EVERYTHING)}}}"},
    "_user_fields": _constants(
        "ACCOUNT_ID", "EPOCH", "BLOCKS_VERSION", "RULES_VERSION", "PRIVACY", "NUMBER_SINCE", "LAST_ID", "DEVICE_PREFIX"
    ),
}
"""What ``--@use`` gives beside the fragments: name -> its definition. A script gets those that it mentions."""


def _mentioned(definitions: dict[str, str], text: str) -> str:
    """Those of the definitions that a text mentions, and those before them that they mention themselves."""
    words, lines = _words(text), list[str]()
    for name, line in reversed(definitions.items()):
        if name in words:
            lines.append(f"{line}\n")
            words += _words(line)
    return "".join(reversed(lines))


def _words(text: str) -> Counter[str]:
    """How often each word stands in the code. All scripts are put together in each process that starts, so it matters
    that each text is searched once, and not once for each name."""
    return Counter(_WORD.findall(_COMMENT.sub("", text)))


# ---- putting together


def _with_fragments(source: str, included: set[str]) -> str:
    def insert(match: re.Match[str]) -> str:
        indent, text = match[1], ""
        known = set(included) if indent else included
        for _, name in _USE.findall(match[0]):
            if name not in known:
                known.add(name)
                # What is generated depends on the whole text, and is put in when that is known.
                fragment = f"--@use {name}\n" if name in GENERATED else _fragment(name, known)
                text += textwrap.indent(fragment, indent)
        return text

    return _USES.sub(insert, source)


def _fragment(name: str, included: set[str]) -> str:
    return _with_fragments((FOLDER / f"{name}.lua").read_text(), included)


def _without_unused(text: str) -> str:
    """Drop the functions of fragments that this script does not call. Each run of a script makes a closure of every
    function in it, which costs Redis up to a tenth of a short script's time."""
    words, functions = _words(text), {match[1]: match[0] for match in _FUNCTION.finditer(text)}
    while unused := [name for name in functions if words[name] == 1]:
        for name in unused:
            function = functions.pop(name)
            text = text.replace(function, "")
            words -= _words(function)
    return text


def read(name: str) -> Script:
    """Put a script together from its file and what it uses."""
    source = (FOLDER / f"{name}.lua").read_text()
    whole = _without_unused(_with_fragments(source, set()))
    text = _USE.sub(lambda match: textwrap.indent(_mentioned(GENERATED[match[2]], whole), match[1]), whole)
    sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    return Script(name, text, sha, tuple(_KEY.findall(source)))


LOAD = read("load")
READ_PERSON = read("read_person")
READ_WAITING = read("read_waiting")
LEAVE = read("leave")
DROP_WAITING = read("drop_waiting")
DELETE_PERSON = read("delete_person")
READ_PRESENCE = read("read_presence")
READ_SIDES = read("read_sides")
WATCH = read("watch")
CLAIM = read("claim")
RENEW = read("renew")
RELEASE = read("release")
SWEEP = read("sweep")
FORGET_DEVICE = read("forget_device")
READ_DEVICES = read("read_devices")

STORE_CHATS = read("store_chats")
STORE_RECEIPT = read("store_receipt")
STORE_OWN = read("store_own")
FETCH = read("fetch")
NOTE_ACKNOWLEDGED = read("note_acknowledged")
NOTE_DELIVERED = read("note_delivered")
SETTLE = read("settle")
FIND_UNREAD = read("find_unread")
MARK_READ = read("mark_read")
NOTE_ANSWERED = read("note_answered")

EXPIRE = read("expire")
EXPIRE_SHADOWS = read("expire_shadows")
FIND_UNACKNOWLEDGED = read("find_unacknowledged")
FIND_STUCK = read("find_stuck")
DELETE_EMPTY = read("delete_empty")
ROTATE_DEDUPE = read("rotate_dedupe")

TAKE_TOKEN = read("take_token")
FORGIVE_FAILURES = read("forgive_failures")
REMEMBER_LOGIN_PLACE = read("remember_login_place")
TRY_CODE = read("try_code")
DROP_CODE = read("drop_code")
WRITE = read("write")
