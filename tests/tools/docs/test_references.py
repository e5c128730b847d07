"""The references have every route, every frame, every setting and every schema, with their fields and codes."""

import json
import re

from handlers.openapi import document
from protocol import asyncapi
from settings.fields import Settings
from tools.docs import frame_reference, http_reference, schema_files, settings_reference
from tools.docs.schemas import Schemas


def part(page: str, heading: str) -> str:
    """What stands below a heading of the third level."""
    return page.partition(f"### {heading}\n")[2].partition("\n### ")[0].partition("\n## ")[0]


def test_every_route_is_there_once() -> None:
    paths = json.loads(document())["paths"]
    expected = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    found = re.findall(r"^### `(.+)`$", http_reference.page(), re.MULTILINE)
    assert len(found) == len(set(found))
    assert set(found) == {each for each in expected if not each.startswith(("HEAD ", "OPTIONS "))}


def test_a_route_has_its_fields_its_answer_and_its_codes() -> None:
    login = part(http_reference.page(), "`POST /auth/login`")
    assert "| `password` | string, 1 to 72 characters |" in login
    assert "| `replaceDeviceId?` | string" in login
    assert "| `refreshToken` | string |" in login
    assert "| 409 | `too_many_devices` |" in login
    assert "token_missing" not in login
    assert "Needs a Bearer token." in part(http_reference.page(), "`GET /v1/events`")
    assert "| `limit?` | query | integer, 1 to 100 |" in part(http_reference.page(), "`GET /v1/events`")
    assert "| `data[].deviceId` | [DeviceId](#types) |" in part(http_reference.page(), "`GET /v1/devices`")


def test_every_frame_is_there_with_an_example() -> None:
    page, described = frame_reference.page(), json.loads(asyncapi.document())
    for name, message in described["components"]["messages"].items():
        sender = "client" if name.endswith("In") else "server"
        found = part(page, f"`{message['name']}` from the {sender}") or part(
            page, f"`{message['name']}` from the {sender} (seed dialect)"
        )
        assert json.dumps(message["examples"][0]["payload"], ensure_ascii=False) in page
        assert "| `type` | `" in found, name
    assert "| `streamIds?` | list of [StreamId](#types) |" in part(page, "`ack` from the client")
    assert "| 4508 | no |" in page


def test_every_setting_is_there() -> None:
    rows = re.findall(r"^\| `([A-Z_0-9]+)` \| (.+?) \| (.+) \|$", settings_reference.page(), re.MULTILINE)
    names = {name for name, _, _ in rows}
    assert {name.upper() for name in Settings.model_fields} <= names
    assert ("MAILBOX_DAYS", "`30`") in {(name, default) for name, default, _ in rows}
    assert ("REDIS_URL", "required") in {(name, default) for name, default, _ in rows}


def test_every_schema_file_is_listed() -> None:
    page = schema_files.page()
    files = [path.name for path in schema_files.FOLDER.glob("*.json")]
    assert files
    assert [name for name in files if f"](schemas/{name})" not in page] == []


def test_a_schema_becomes_rows() -> None:
    named = {
        "Id": {"type": "string", "maxLength": 9},
        "Line": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]},
    }
    schema = {
        "type": "object",
        "properties": {
            "lines": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}, "description": "All | of them."},
            "owner": {"anyOf": [{"$ref": "#/components/schemas/Id"}, {"type": "null"}]},
            "state": {"anyOf": [{"enum": ["on", 1]}, {"type": "null"}]},
        },
        "required": ["lines"],
    }
    assert Schemas({"components": {"schemas": named}}).table(schema)[2:] == [
        "| `lines` | list of object | All \\| of them. |",
        "| `lines[].id` | integer |  |",
        "| `owner?` | [Id](#types) |  |",
        "| `state?` | `on` or `1` |  |",
    ]
