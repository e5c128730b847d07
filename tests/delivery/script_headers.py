"""What a Lua script says of itself at its top: its keys, its arguments, and the shape of its answer."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from delivery import scripts
from delivery.keys import EVERYTHING

_BINDING: Final = re.compile(r"local (\w+) = (?:tonumber\()?(KEYS|ARGV)\[(\d+)\]\)?(?: -- (\S.*))?")
_REST: Final = re.compile(r"-- ARGV\[(\d+)\.\.\]: \S.*")
_VERDICT: Final = re.compile(r"verdict: (.+)")
ANYTHING: Final = "what the command returns"


def parts_of(listed: str) -> list[str]:
    """What stands between the outermost commas of ``{a, {b, c}, d}``."""
    parts, depth = [""], 0
    for letter in listed[1:-1]:
        depth += (letter in "{(") - (letter in "})")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


@dataclass(frozen=True)
class Shape:
    """What ``RETURNS`` says: ``{verdict: a | b, number of x}``, ``{x, ...}``, or words for a number.

    :param parts: of a list of fixed length; empty for a number or an open list
    """

    words: str

    @property
    def listed(self) -> str:
        """The list, without what is said of it behind the bracket."""
        depth = 0
        for at, letter in enumerate(self.words):
            depth += (letter == "{") - (letter == "}")
            if depth == 0:
                return self.words[: at + 1]
        raise ValueError(f"{self.words}: a bracket is open")

    @property
    def parts(self) -> list[str]:
        parts = parts_of(self.listed) if self.words.startswith("{") else []
        return [] if "..." in parts else parts

    @property
    def verdicts(self) -> list[str]:
        """The words that may come first."""
        found = _VERDICT.match(self.parts[0]) if self.parts else None
        return found[1].split(" | ") if found else []

    def fits(self, reply: Any) -> bool:
        """Whether an answer (text, numbers, lists) has this shape."""
        if self.words == ANYTHING:
            return True
        if not self.words.startswith("{"):
            return isinstance(reply, int)
        if not isinstance(reply, list) or (self.parts and len(reply) != len(self.parts)):
            return False
        return not self.verdicts or reply[0] in self.verdicts


@dataclass(frozen=True)
class Header:
    """:param keys: names, in their order; ``args``: the same; ``rest``: where an open end of ARGV begins, or 0"""

    name: str
    flags: str
    comment: str
    keys: list[tuple[int, str, str]]
    args: list[tuple[int, str, str]]
    rest: int
    body: str

    @property
    def returns(self) -> Shape:
        found = re.search(r"RETURNS (.+)\Z", self.comment)
        return Shape(found[1] if found else "")


def parse(source: str) -> Header:
    """The header of a script, and its body without comments."""
    lines = source.splitlines()
    flags, lines = lines[0], lines[1:]
    comment: list[str] = []
    while lines and lines[0].startswith("-- ") and not _REST.fullmatch(lines[0]):
        comment.append(lines.pop(0).removeprefix("--").strip())
    bound: dict[str, list[tuple[int, str, str]]] = {"KEYS": [], "ARGV": []}
    while lines and (found := _BINDING.fullmatch(lines[0])):
        bound[found[2]].append((int(found[3]), found[1], found[4] or ""))
        lines.pop(0)
    rest = _REST.fullmatch(lines[0]) if lines else None
    body = "\n".join(re.sub(r"--(?!@).*", "", line).rstrip() for line in lines)
    body = body.replace("--@use _everything\n", f"--@use _everything\n{' '.join(EVERYTHING)}\n")
    words = " ".join(comment)
    return Header(
        words.partition(":")[0], flags, words, bound["KEYS"], bound["ARGV"], int(rest[1]) if rest else 0, body
    )


@cache
def header_of(name: str) -> Header:
    """The header of one of our scripts."""
    return parse((scripts.FOLDER / f"{name}.lua").read_text())


def shape(name: str) -> Shape:
    """What this script answers."""
    return header_of(name).returns


# ---- whether a header is true


def answers_in(body: str) -> list[str]:
    """What the script itself returns: not its functions, unless it returns what they give."""
    functions = dict(re.findall(r"^local function (\w+)[^\n]*\n(.*?)^end$", body, re.MULTILINE | re.DOTALL))
    outside = re.sub(r"^local function .*?^end$", "", body, flags=re.MULTILINE | re.DOTALL)
    answers: list[str] = []
    for answer in re.findall(r"\breturn ([^\n]+?)(?: end)?$", outside, re.MULTILINE):
        called = re.match(r"(\w+)\(", answer)
        if called and called[1] in functions:
            answers += re.findall(r"\breturn ([^\n]+?)(?: end)?$", functions[called[1]], re.MULTILINE)
        else:
            answers.append(answer)
    return answers


def complaints(source: str, name: str) -> list[str]:
    """What is wrong with a header."""
    header, wrong = parse(source), list[str]()
    if header.name != name:
        wrong.append(f"it calls itself {header.name!r}")
    if not header.returns.words:
        wrong.append("RETURNS is missing")
    for what, bound in (("KEYS", header.keys), ("ARGV", header.args)):
        if [index for index, _, _ in bound] != list(range(1, len(bound) + 1)):
            wrong.append(f"{what}: not 1, 2, 3 …")
        wrong += [f"{each} is bound and not used" for _, each, _ in bound if not re.search(rf"\b{each}\b", header.body)]
    wrong += [f"{each}: of which type?" for _, each, said in header.keys if not said]
    if re.search(r"\bKEYS\b", header.body):
        wrong.append("KEYS is used in the body")
    return wrong + _about_the_rest(header) + _about_answers(header)


def _about_the_rest(header: Header) -> list[str]:
    loops = re.findall(r"for i = (\d+), [#\w]+|unpack\(ARGV, (\d+)", header.body)
    begins = {int(number) for pair in loops for number in pair if number} | (
        {1} if "ipairs(ARGV)" in header.body else set()
    )
    if not header.rest:
        return ["ARGV is used in the body"] if "ARGV" in header.body else []
    wrong = [] if header.rest == len(header.args) + 1 else [f"ARGV[{header.rest}..] leaves a gap"]
    return wrong if header.rest in begins else [*wrong, f"ARGV[{header.rest}..] is named and not used"]


def _about_answers(header: Header) -> list[str]:
    parts, verdicts, wrong = header.returns.parts, header.returns.verdicts, list[str]()
    for answer in answers_in(header.body):
        if parts and answer.startswith("{"):
            given = parts_of(answer)
            if len(given) != len(parts):
                wrong.append(f"{answer} has {len(given)} parts, not {len(parts)}")
            said = re.fullmatch(r"'(\w+)'", given[0])
            if verdicts and said and said[1] not in verdicts:
                wrong.append(f"{said[1]} is no verdict")
        elif parts and not answer.startswith("redis.error_reply("):
            wrong.append(f"{answer} is no list")
    code = header.body
    return wrong + [f"{each} is never told" for each in verdicts if f"'{each}'" not in code and each not in _SHARED]


_SHARED: Final = {"ok", "gone", "replaced"}
"""Verdicts that a fragment gives."""
