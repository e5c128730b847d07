"""The page's service worker, which is served with the list of the files that it keeps."""

import hashlib
import json
from collections.abc import Mapping
from typing import Final

from handlers.static_files import StaticFile, static_file

NAME: Final = "sw.js"
_FILES: Final = "const FILES = {};"
_VERSION: Final = 'const VERSION = "";'
_NOT_KEPT: Final = {
    NAME,
    "icons/icon-512.png",  # systems ask for these, when the page is installed
    "icons/icon-maskable.png",
    "icons/icon-apple.png",
    "client/file-store.js",  # for Node
    "client/memory-store.js",  # the page has another one
    "client/types.js",  # for tools that check types
}


def filled_in(files: Mapping[str, StaticFile]) -> StaticFile:
    """The worker as it is served: it changes whenever a file of the page does, and then browsers install it anew.

    :param files: the page's files by their path behind ``/web/``, with the worker as it is written
    :raises ValueError: the lines that are filled in are not there
    """
    written = files[NAME]
    text = written.body.decode()
    kept = {f"web/{name}": _digest(file) for name, file in files.items() if name not in _NOT_KEPT}
    kept[""] = kept.pop("web/index.html")  # the page itself has the address above
    policy = written.headers["Content-Security-Policy"]  # it comes with each file, so another one is another version
    version = hashlib.sha256(json.dumps([kept, policy, text]).encode()).hexdigest()[:16]
    for line, value in ((_FILES, json.dumps(kept, indent=1)), (_VERSION, json.dumps(version))):
        if text.count(line) != 1:
            raise ValueError(f"{NAME} has not one line {line}")
        text = text.replace(line, f"{line.partition(' = ')[0]} = {value};")
    made = static_file(text.encode(), written.content_type, policy)
    # A worker may answer for its own folder and below; this one answers for the page, one folder above.
    return StaticFile(made.body, made.content_type, made.headers | {"Service-Worker-Allowed": "../"}, made.packed)


def _digest(file: StaticFile) -> str:
    return hashlib.sha256(file.body).hexdigest()
