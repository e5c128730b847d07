"""What the Lua files say of themselves is true, and Python knows every one of them."""

import hashlib
import re
from pathlib import Path

import pytest
from redis.asyncio import Redis

from delivery import scripts
from delivery.keys import Person

FILES = sorted(scripts.FOLDER.glob("*.lua"))
VERBS = [path for path in FILES if not path.name.startswith("_")]
FRAGMENTS = [path for path in FILES if path.name.startswith("_")]
LOADED = [value for value in vars(scripts).values() if isinstance(value, scripts.Script)]


def _name(path: Path) -> str:
    return path.stem


def split(source: str) -> tuple[str, str]:
    """The comment lines at the top, and the code."""
    lines = source.splitlines()
    start = next(n for n, line in enumerate(lines) if not line.startswith("--") and not line.startswith("#!"))
    return "\n".join(line for line in lines[:start] if not line.startswith("--@use")), "\n".join(lines[start:])


def named(header: str, what: str) -> tuple[list[int], bool]:
    """The indexes a header names, in order, and whether its list is open at the end: ``ARGV[3..]``."""
    found = re.findall(rf"{what}\[(\d+)(\.\.)?\]", header)
    return [int(index) for index, _ in found], any(dots for _, dots in found)


def used(body: str, what: str) -> set[int]:
    """The indexes a body spells out, and where what it takes of the rest begins."""
    indexes = {int(index) for index in re.findall(rf"{what}\[(\d+)\]", body)}
    rest = re.findall(rf"for i = (\d+), #{what}(?:, [23])? do|unpack\({what}, (\d+)", body)
    whole = {1} if re.search(rf"[ (]{what}\)", body) else set()
    return indexes | {int(start) for starts in rest for start in starts if start} | whole


def takes_the_rest(body: str, what: str) -> bool:
    """Whether the body takes as many as there are."""
    return re.search(rf"#{what}(?:, [23])? do|unpack\({what}, |[ (]{what}\)", body) is not None


def complaints(source: str) -> list[str]:
    """What is wrong with a header."""
    header, body = split(source)
    wrong = [] if re.search(r"^-- RETURNS \S", header, re.MULTILINE) else ["RETURNS is missing"]
    for what in ("KEYS", "ARGV"):
        indexes, is_open = named(header, what)
        spelled = used(body, what)
        if indexes != list(range(1, len(indexes) + 1)) or not indexes:
            wrong.append(f"{what}: {indexes} is not 1, 2, 3 …")
        everything = what == "KEYS" and f"unpack({what})" in body
        if not everything and max(indexes, default=0) != max(spelled, default=0):
            wrong.append(f"{what}: header ends at {max(indexes, default=0)}, body at {max(spelled, default=0)}")
        if not everything and set(indexes) - spelled:
            wrong.append(f"{what}: {sorted(set(indexes) - spelled)} named and not used")
        if not everything and is_open != takes_the_rest(body, what):
            wrong.append(f"{what}: an open end is named or used, not both")
    return [each for each in wrong if not (each.startswith("ARGV: []") and "ARGV" not in body)]


@pytest.mark.parametrize("path", VERBS, ids=_name)
def test_a_header_names_what_its_body_uses(path: Path) -> None:
    assert complaints(path.read_text()) == []


GOOD = "#!lua\n-- x\n-- KEYS[1] a KEYS[2] b\n-- ARGV[1] c\n-- RETURNS n\nreturn KEYS[1] .. KEYS[2] .. ARGV[1]\n"


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("-- RETURNS n\n", "", "RETURNS"),
        (" KEYS[2] b\n", "\n", "KEYS: header ends at 1, body at 2"),
        ("-- ARGV[1] c", "-- ARGV[1] c ARGV[2] d", "ARGV: header ends at 2, body at 1"),
        ("KEYS[1] .. KEYS[2]", "KEYS[2]", "KEYS: [1] named and not used"),
        ("-- ARGV[1] c", "-- ARGV[1..] c", "open end"),
        ("KEYS[2] b", "KEYS[3] b", "is not 1, 2, 3"),
    ],
)
def test_a_lying_header_is_found(before: str, after: str, says: str) -> None:
    assert complaints(GOOD) == []
    assert before in GOOD
    assert any(says in each for each in complaints(GOOD.replace(before, after)))


def test_every_file_is_loaded_and_nothing_else_is() -> None:
    assert sorted(script.name for script in LOADED) == [path.stem for path in VERBS]


@pytest.mark.parametrize("path", VERBS, ids=_name)
def test_the_constant_is_the_verb_in_capitals(path: Path) -> None:
    script = getattr(scripts, path.stem.upper())
    assert script.name == path.stem
    assert "--@use" not in script.text
    assert script.sha == hashlib.sha1(script.text.encode(), usedforsecurity=False).hexdigest()


def test_every_fragment_is_used_by_some_verb() -> None:
    uses = {name for path in VERBS for name in re.findall(r"^--@use (_\w+)$", path.read_text(), re.MULTILINE)}
    assert uses == {path.stem for path in FRAGMENTS}


@pytest.mark.parametrize("path", VERBS, ids=_name)
async def test_redis_takes_it_under_our_own_sha(redis: "Redis", path: Path) -> None:
    script = scripts.read(path.stem)
    assert await redis.script_load(script.text) == script.sha


@pytest.mark.parametrize("path", VERBS, ids=_name)
def test_no_command_destroys_what_nobody_received(path: Path) -> None:
    code = re.sub(r"--[^\n]*", "", scripts.read(path.stem).text)
    assert not re.search(r"XTRIM|MAXLEN|MINID|'KEYS'|FLUSH", code)


def test_load_is_given_as_many_keys_as_it_deletes() -> None:
    header, _ = split((scripts.FOLDER / "load.lua").read_text())
    assert len(Person("9100000001").everything()) == max(named(header, "KEYS")[0])
