"""The page that lists the JSON Schemas of all frames."""

import json
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "schemas"
_INTRODUCTION: Final = """\
# JSON Schemas

One file for each frame, and one for a whole message in each direction of each dialect (JSON Schema 2020-12). They
refer to each other by their file names. [For machines](machines.md) says how to use them.

| file | describes |
|---|---|
"""


def page() -> str:
    """The Markdown. Links are those of a file in ``docs/``."""
    rows = []
    for path in sorted(FOLDER.glob("*.json")):
        about = json.loads(path.read_text(encoding="utf-8")).get("description", "").replace("|", "\\|")
        rows.append(f"| [{path.name}](schemas/{path.name}) | {about} |")
    return _INTRODUCTION + "\n".join(rows) + "\n"
