"""The schemas in ``docs/schemas`` are those of the structs."""

import json
from pathlib import Path

import jsonschema

from tools.describe import FOLDER, files, write


def test_the_schemas_are_up_to_date() -> None:
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    assert there == files(), "they are stale: python3 run.py describe"


def test_stale_files_are_written_anew_and_others_left_alone(tmp_path: Path) -> None:
    assert write(tmp_path / "schemas") == sorted(files())
    (tmp_path / "schemas" / "ChatIn.json").write_text("{}")
    (tmp_path / "schemas" / "Gone.json").write_text("{}")
    assert write(tmp_path / "schemas") == ["ChatIn.json", "Gone.json"]
    assert write(tmp_path / "schemas") == []


def test_every_schema_is_one_and_refers_to_what_is_there() -> None:
    for text in files().values():
        jsonschema.Draft202012Validator.check_schema(json.loads(text))
    names = set(files())
    refs = {each.split('"')[3] for text in files().values() for each in text.splitlines() if '"$ref"' in each}
    assert {ref for ref in refs if not ref.startswith("#")} <= names
