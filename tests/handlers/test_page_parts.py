"""The page asks at once for the files that a view needs: the lists are what the files import, no more and no less."""

import posixpath
import re

from handlers.static_files import PAGE_FILES, WEB

LOADED_FIRST = "app.js"


def imported(*names: str, known: frozenset[str] = frozenset()) -> set[str]:
    """These modules with all that they import, and what that imports; without what is ``known``."""
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name in found or name in known:
            continue
        found.add(name)
        text = PAGE_FILES[name].read_text()
        modules = re.findall(r'^(?:import|export)\b[^;]*?"(\.[^"]+)";', text, re.MULTILINE)
        todo += [posixpath.normpath(posixpath.join(posixpath.dirname(name), module)) for module in modules]
    return found


FIRST = frozenset(imported(LOADED_FIRST))


def listed() -> dict[str, list[str]]:
    """By part, as ``web/parts.js`` has them."""
    text = (WEB / "parts.js").read_text()
    rows = re.findall(r"^  (\w+): (?:\"([^\"]+)\"|`([^`]+)`),$", text, re.MULTILINE)
    return {part: [f"{name}.js" for name in (one or several).split()] for part, one, several in rows}


def test_the_shell_names_what_its_script_imports() -> None:
    links = re.findall(r'<link rel="modulepreload" href="web/([^"]+)">', (WEB / "index.html").read_text())
    assert sorted(links) == sorted(FIRST - {LOADED_FIRST})


def test_each_part_names_what_it_imports() -> None:
    parts = listed()
    assert {part: sorted(names) for part, names in parts.items()} == {
        "door": sorted(imported("door.js", known=FIRST)),
        "client": sorted(client := imported("client/client.js", "client/indexeddb-store.js", known=FIRST)),
        "chats": sorted(chats := imported("chats.js", known=FIRST | client)),
        "chat": sorted(imported("chat.js", known=FIRST | client | chats)),
    }


def test_nothing_that_comes_later_is_imported_first() -> None:
    """By mistake, which nobody would notice but by what the page weighs."""
    later = ("settings", "notifications", "search_bar", "question", "door")
    for part in ("client", "chats", "chat"):
        assert [name for name in listed()[part] if name.startswith(later)] == []
    assert [name for name in FIRST if name.startswith((*later, "client/", "chat"))] == []
