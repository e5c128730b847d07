"""The page of all settings, made of ``.env.sample``."""

import re
from pathlib import Path
from typing import Final

SAMPLE: Final = Path(__file__).resolve().parents[2] / ".env.sample"
_SECTION: Final = re.compile(r"^# -+ (.+?) -+$")
_SETTING: Final = re.compile(r"^(#?)([A-Z][A-Z0-9_]*)=(.*)$")
_INTRODUCTION: Final = """\
# Settings

Every setting is an environment variable. This page is made of the file `.env.sample`, which a test compares with the
code. [Operations](docs/OPERATIONS.md#settings-to-think-about-first) says which to think of first.
"""


def page() -> str:
    """The Markdown. Links are those of a file in the root of the repository.

    :raises ValueError: a line of the file is not understood
    """
    lines, comments = [_INTRODUCTION], list[str]()
    for line in SAMPLE.read_text(encoding="utf-8").splitlines():
        section, setting = _SECTION.match(line), _SETTING.match(line)
        if section:
            lines += ["", f"## {section[1]}", "", "| setting | default | |", "|---|---|---|"]
            comments = []
        elif setting:
            lines.append(_row(setting, " ".join(comments)))
            comments = []
        elif line.startswith("#"):
            comments.append(line[1:].strip())
        elif line.strip():
            raise ValueError(f"neither comment nor setting: {line}")
    return "\n".join(lines) + "\n"


def _row(setting: re.Match[str], about: str) -> str:
    default = f"`{setting[3]}`" if setting[3] else "empty" if setting[1] else "required"
    return f"| `{setting[2]}` | {default} | {about.replace('|', chr(92) + '|')} |"
