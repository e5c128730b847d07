"""The AsyncAPI document: valid by the schema of the specification, and nothing is missing from it.

``asyncapi-3.0.0.json.gz`` is ``schemas/3.0.0.json`` of the npm package ``@asyncapi/specs`` 6.11.1 (Apache-2.0).
"""

import gzip
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from protocol.asyncapi import document
from protocol.described_frames import BEFORE_THE_UPGRADE, DIALECTS, KINDS, ON_THE_SOCKET, kinds
from protocol.errors import CLOSES

DOCUMENT: dict[str, Any] = json.loads(document())
CHANNELS = dict(zip(DIALECTS, ("v1", "seed"), strict=True))


@pytest.fixture(scope="module")
def validator() -> Any:
    packed = (Path(__file__).parent / "asyncapi-3.0.0.json.gz").read_bytes()
    return jsonschema.Draft7Validator(json.loads(gzip.decompress(packed)))


def references(part: Any) -> list[str]:
    if isinstance(part, list):
        return [each for one in part for each in references(one)]
    if not isinstance(part, dict):
        return []
    return [each for one in part.values() for each in references(one)] + ([part["$ref"]] if "$ref" in part else [])


def lookup(reference: str) -> Any:
    found: Any = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


def test_it_is_valid(validator: Any) -> None:
    assert [error.message for error in validator.iter_errors(DOCUMENT)] == []


def test_it_refers_to_openapi_in_words() -> None:
    """AsyncAPI wants whole addresses in externalDocs, and this document does not know its own."""
    assert "(openapi.json)" in DOCUMENT["info"]["description"]
    assert "externalDocs" not in DOCUMENT["info"]


def test_a_mistake_in_it_is_found(validator: Any) -> None:
    wrong = json.loads(document())
    wrong["operations"]["v1.chat"]["action"] = "subscribe"
    assert list(validator.iter_errors(wrong))


def test_every_reference_leads_somewhere() -> None:
    assert all(lookup(each) for each in references(DOCUMENT))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_channel_has_every_frame_of_its_dialect_and_an_operation_for_it(dialect: str) -> None:
    channel = CHANNELS[dialect]
    sent, received = (list(kinds(sender, dialect)) for sender in ("server", "client"))  # type: ignore[arg-type]
    names = {kind.name for kind in [*sent, *received]}
    assert set(DOCUMENT["channels"][channel]["messages"]) == names
    operations = {name: each for name, each in DOCUMENT["operations"].items() if name.startswith(f"{channel}.")}
    assert set(operations) == {f"{channel}.{kind.type}" for kind in received} | {f"{channel}.send"}
    told = {each["$ref"].rsplit("/", 1)[1] for each in operations[f"{channel}.send"]["messages"]}
    assert told == {kind.name for kind in sent}


def test_every_frame_has_its_payload_and_an_example() -> None:
    messages = DOCUMENT["components"]["messages"]
    assert set(messages) == {kind.name for kind in KINDS}
    for each in messages.values():
        assert each["examples"]
        assert lookup(each["payload"]["$ref"])["properties"]["type"] == {"const": each["name"]}


def test_every_code_and_close_code_is_in_it() -> None:
    for channel in DOCUMENT["channels"].values():
        assert [each["code"] for each in channel["x-refusals"]] == list(BEFORE_THE_UPGRADE)
        told = {each["code"]: (each["reason"], each["reconnect"]) for each in channel["x-close-codes"]}
        assert {each.code: (each.reason, each.reconnect) for each in CLOSES}.items() <= told.items()
        assert set(told) - {each.code for each in CLOSES} == {1002, 1007, 1009}
    assert DOCUMENT["components"]["schemas"]["ErrorOut"]["properties"]["code"]["enum"] == list(ON_THE_SOCKET)
    shown = [each["payload"]["code"] for each in DOCUMENT["components"]["messages"]["ErrorOut"]["examples"]]
    assert shown == list(ON_THE_SOCKET)
