"""``.env.sample`` and the settings cannot drift apart."""

import re
from itertools import pairwise
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from settings.fields import Settings

SAMPLE = Path(__file__).resolve().parents[2] / ".env.sample"
LINE = re.compile(r"(#?)([A-Z][A-Z0-9_]*)=(.*)")
KNOBS = {name.upper(): field for name, field in Settings.model_fields.items()}


def listed() -> list[tuple[bool, str, str]]:
    """Every variable of the sample: (is it commented out, name, value)."""
    found = [LINE.fullmatch(line) for line in SAMPLE.read_text().splitlines()]
    return [(match[1] == "#", match[2], match[3]) for match in found if match]


def spelled(field: FieldInfo) -> str:
    """The default as one would write it in the environment."""
    default = field.default
    return default.get_secret_value() if isinstance(default, SecretStr) else str(default)


def test_every_knob_is_listed_once_and_nothing_else() -> None:
    names = [name for _, name, _ in listed()]
    assert sorted(names) == sorted(KNOBS)


def test_defaults_are_the_real_ones() -> None:
    shown = {name: value for commented, name, value in listed() if commented}
    assert shown == {name: spelled(field) for name, field in KNOBS.items() if not field.is_required()}


def test_required_ones_are_left_to_be_filled_in() -> None:
    shown = {name: value for commented, name, value in listed() if not commented}
    assert shown == {name: "" for name, field in KNOBS.items() if field.is_required()}


def test_each_has_its_reason_above() -> None:
    lines = SAMPLE.read_text().splitlines()
    bare = [line for before, line in pairwise(lines) if LINE.fullmatch(line) and before[:2] != "# "]
    assert bare == []


def test_each_line_works_as_a_setting() -> None:
    """Taking the # away from every line gives the settings one gets without."""
    required = {"redis_url": "redis://x", "database_url": "postgres://x/y", "jwt_secret": SecretStr("k8Jq2vXz0Lr4" * 4)}
    given = {name.lower(): value for commented, name, value in listed() if commented}
    assert Settings(**required, **given) == Settings(**required)  # type: ignore[arg-type]
