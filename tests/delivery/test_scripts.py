"""What the Lua files say of themselves is true, and Python knows every one of them."""

import hashlib
import re
from pathlib import Path

import pytest
from redis.asyncio import Redis

from delivery import keys, scripts
from delivery.keys import Person
from protocol.stored_entries import CHAT, SHADOW
from tests.delivery.script_headers import complaints, header_of

FILES = sorted(scripts.FOLDER.glob("*.lua"))
VERBS = [path for path in FILES if not path.name.startswith("_")]
FRAGMENTS = [path for path in FILES if path.name.startswith("_")]
LOADED = {value.name: value for value in vars(scripts).values() if isinstance(value, scripts.Script)}
OF_NO_PERSON = {"take_token", "forgive_failures", "remember_login_place", "write", "try_code", "drop_code"}
"""Their keys are spelled by the caller."""


def _name(path: Path) -> str:
    return path.stem


def code_of(source: str) -> str:
    return re.sub(r"--[^\n]*", "", source)


def uses(source: str) -> set[str]:
    return set(re.findall(r"^ *--@use (_\w+)$", source, re.MULTILINE))


def defined(path: Path) -> set[str]:
    """The names that a fragment gives."""
    listed = re.findall(r"^local (?:function (\w+)|([\w, ]+) =)", path.read_text(), re.MULTILINE)
    return {name for function, names in listed for name in (function, *names.split(", ")) if name}


GIVEN = {path.stem: defined(path) for path in FRAGMENTS} | {name: set(some) for name, some in scripts.GENERATED.items()}
"""Fragment -> what it gives."""


# ---- headers


@pytest.mark.parametrize("path", VERBS, ids=_name)
def test_a_header_names_what_its_body_uses(path: Path) -> None:
    assert complaints(path.read_text(), path.stem) == []


GOOD = """#!lua
-- x: does it.
-- RETURNS {verdict: no | yes, number}
local mailbox = KEYS[1] -- stream
local leases = KEYS[2] -- hash
local device = ARGV[1]
-- ARGV[2..]: streamIds
--@use _settle
if device == '' then return {'no', 0} end
return {'yes', count(mailbox, leases, {unpack(ARGV, 2)})}
"""


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("-- x:", "-- y:", "calls itself"),
        ("-- RETURNS {verdict: no | yes, number}\n", "", "RETURNS"),
        ("KEYS[2]", "KEYS[3]", "KEYS: not 1, 2, 3"),
        (" -- hash", "", "leases: of which type?"),
        ("mailbox, leases,", "mailbox,", "leases is bound and not used"),
        ("mailbox, leases,", "KEYS[1], leases,", "KEYS is used in the body"),
        ("-- ARGV[2..]: streamIds\n", "", "ARGV is used in the body"),
        ("-- ARGV[2..]", "-- ARGV[3..]", "leaves a gap"),
        ("unpack(ARGV, 2)", "device", "named and not used"),
        ("{'no', 0}", "{'no'}", "{'no'} has 1 parts, not 2"),
        ("{'no', 0}", "0", "0 is no list"),
        ("{'no', 0}", "{'perhaps', 0}", "perhaps is no verdict"),
        ("no | yes", "no | yes | perhaps", "perhaps is never told"),
    ],
)
def test_a_lying_header_is_found(before: str, after: str, says: str) -> None:
    assert complaints(GOOD, "x") == []
    assert before in GOOD
    assert any(says in each for each in complaints(GOOD.replace(before, after), "x"))


# ---- keys


@pytest.mark.parametrize("name", sorted(LOADED.keys() - OF_NO_PERSON))
def test_the_keys_of_a_script_are_a_persons(name: str) -> None:
    person = Person("9100000001")
    assert person.of(LOADED[name]) == [getattr(person, key) for _, key, _ in header_of(name).keys]
    assert person.of(LOADED[name]) is person.of(LOADED[name]), "they are spelled once"


@pytest.mark.parametrize("name", sorted(LOADED.keys() - OF_NO_PERSON))
def test_a_key_is_of_the_type_that_its_spelling_says(name: str) -> None:
    for _, key, kind in header_of(name).keys:
        assert (getattr(Person, key).__doc__ or "").lower().startswith(kind), key


# ---- putting together


def test_every_file_is_loaded_and_nothing_else_is() -> None:
    assert sorted(LOADED) == [path.stem for path in VERBS]


@pytest.mark.parametrize("path", VERBS, ids=_name)
def test_the_constant_is_the_verb_in_capitals(path: Path) -> None:
    script = getattr(scripts, path.stem.upper())
    assert script.name == path.stem
    assert "--@use" not in script.text
    assert script.sha == hashlib.sha1(script.text.encode(), usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_a_file_names_the_fragments_it_uses_itself(path: Path) -> None:
    code = code_of(path.read_text())
    words = set(re.findall(r"\b\w+\b", code)) - (defined(path) if path in FRAGMENTS else set())
    assert {name for name, given in GIVEN.items() if name != path.stem and given & words} == uses(path.read_text())


def test_no_two_fragments_give_the_same_name() -> None:
    names = [name for given in GIVEN.values() for name in given]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("path", VERBS, ids=_name)
def test_a_fragment_is_put_in_once(path: Path) -> None:
    functions = re.findall(r"^local function (\w+)", scripts.read(path.stem).text, re.MULTILINE)
    assert sorted(functions) == sorted(set(functions))


def test_a_fragment_is_put_into_a_block_once() -> None:
    """Two lines in one block, of which one uses what the other names."""
    text = scripts.read("note_acknowledged").text
    assert text.count("  local function advance_records(") == text.count("  local function record_field(") == 1


@pytest.mark.parametrize("path", VERBS, ids=_name)
def test_a_script_has_no_function_that_it_does_not_call(path: Path) -> None:
    code = code_of(scripts.read(path.stem).text)
    functions = re.findall(r"^local function (\w+)", code, re.MULTILINE)
    assert [name for name in functions if len(re.findall(rf"\b{name}\b", code)) == 1] == []


def test_what_is_generated_says_what_python_says() -> None:
    stored = scripts.GENERATED["_stored_entries"]
    assert stored["CHAT_SENDER"] == f"local CHAT_SENDER = {CHAT.index('sender') + 1}"
    assert stored["SHADOW_BYTES"] == f"local SHADOW_BYTES = {SHADOW.index('bytes') + 1}"
    assert stored["chat_fields"] == (
        "local function chat_fields(sender, message_id, message) "
        "return 'k', CHAT, 'f', sender, 'i', message_id, 'm', message end"
    )
    assert scripts.GENERATED["_channels"]["CHANNEL_PREFIX"] == f"local CHANNEL_PREFIX = '{keys.CHANNEL_PREFIX}'"


def test_a_script_gets_only_the_definitions_it_mentions() -> None:
    text = scripts.read("store_receipt").text
    assert "local function receipt_fields(" in text
    assert "local RECEIPT = 'r'" in text, "the function mentions it"
    assert "chat_fields" not in text


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_no_file_spells_a_stored_field(path: Path) -> None:
    code = code_of(path.read_text())
    assert not re.search(r"(values|fields|entry\[2\])\[\d", code), "a value is read by name"
    assert not re.search(r"'XADD', [^)]*'[a-z]'", code), "a field is written by name"


# ---- what they do to Redis


@pytest.mark.parametrize("path", VERBS, ids=_name)
async def test_redis_takes_it_under_our_own_sha(redis: "Redis", path: Path) -> None:
    script = scripts.read(path.stem)
    assert await redis.script_load(script.text) == script.sha


@pytest.mark.parametrize("path", VERBS, ids=_name)
def test_no_command_destroys_what_nobody_received(path: Path) -> None:
    code = code_of(scripts.read(path.stem).text)
    assert not re.search(r"XTRIM|MAXLEN|MINID|'KEYS'|FLUSH", code)


def test_load_may_delete_every_key_of_a_person() -> None:
    spelled = {name for name, value in vars(Person).items() if isinstance(value, property)}
    assert set(scripts.LOAD.keys) == spelled
