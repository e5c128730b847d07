"""``python -m tools.describe``: write the JSON Schemas of all frames to ``docs/schemas``.

One file a frame, named as its struct; and one for each direction of each dialect, for a whole message.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

from protocol.described_frames import DIALECTS, Sender, kinds, schemas
from protocol.dialects import SUBPROTOCOL

FOLDER: Final = Path(__file__).resolve().parent.parent / "docs" / "schemas"
_SCHEMA: Final = "https://json-schema.org/draft/2020-12/schema"
_SENDERS: Final[tuple[Sender, ...]] = ("client", "server")


def files() -> dict[str, str]:
    """The content of each file, by its name."""
    made: dict[str, Any] = dict(schemas("{name}.json"))
    for dialect in DIALECTS:
        for sender in _SENDERS:
            made[f"{dialect}-{sender}"] = _message(dialect, sender)
    return {f"{name}.json": _text(schema) for name, schema in made.items()}


def write(folder: Path) -> list[str]:
    """Write what changed, and remove what is not made any more; the names of those files."""
    folder.mkdir(exist_ok=True)
    wanted = files()
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}
    for name in there.keys() - wanted.keys():
        (folder / name).unlink()
    changed = sorted(name for name, text in wanted.items() if there.get(name) != text)
    for name in changed:
        (folder / name).write_text(wanted[name], encoding="utf-8")
    return sorted([*changed, *(there.keys() - wanted.keys())])


def _message(dialect: str, sender: Sender) -> dict[str, Any]:
    frame = {"anyOf": [{"$ref": f"{kind.name}.json"} for kind in kinds(sender, dialect)]}
    about = f"A text message of the {sender}, dialect {dialect}"
    if dialect != SUBPROTOCOL:
        return {"description": f"{about}: one frame."} | frame
    whole = {"anyOf": [{"$ref": "#/$defs/frame"}, {"type": "array", "items": {"$ref": "#/$defs/frame"}}]}
    return {"description": f"{about}: one frame, or an array of frames."} | whole | {"$defs": {"frame": frame}}


def _text(schema: dict[str, Any]) -> str:
    return json.dumps({"$schema": _SCHEMA} | schema, indent=2, ensure_ascii=True) + "\n"


if __name__ == "__main__":
    sys.stdout.writelines(f"docs/schemas/{name}\n" for name in write(FOLDER))
