"""Schemas of structs, as clients see what they send and get."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from protocol.fields import Mobile, described
from protocol.json_schemas import prose, schemas_of


class Inner(msgspec.Struct, rename="camel"):
    mobile_no: Mobile


class Sample(msgspec.Struct, rename="camel", tag_field="type", tag="sample"):
    """A ``sample`` of
    :class:`Inner`.
    """

    held: list[Inner]
    kind: Literal["one"] = "one"
    word: str = "hello"
    maybe: Mobile | None = None
    number: Annotated[int, described("A number.", 7, minimum=1)] | None = None
    absent: str | UnsetType = UNSET


def test_fields_with_defaults_may_be_missing_unless_all_are_sent() -> None:
    names = {way: schemas_of([Sample], way)["Sample"]["required"] for way in ("read", "sent", "sent whole")}  # type: ignore[arg-type]
    assert names["read"] == names["sent"] == ["type", "held"]
    assert names["sent whole"] == ["type", "held", "kind", "word", "maybe", "number"]


def test_what_is_left_out_when_it_is_null_is_never_null() -> None:
    read, sent = (schemas_of([Sample], way)["Sample"]["properties"] for way in ("read", "sent"))  # type: ignore[arg-type]
    mobile = {"$ref": "#/components/schemas/Mobile"}
    assert read["maybe"] == {"anyOf": [mobile, {"type": "null"}]}
    assert sent["maybe"] == mobile
    assert sent["number"] == {"type": "integer", "minimum": 1, "description": "A number.", "examples": [7]}


def test_one_value_is_a_constant_and_a_default_is_an_example() -> None:
    found = schemas_of([Sample], "sent")["Sample"]
    assert found["properties"]["type"] == {"const": "sample"}
    assert found["properties"]["kind"] == {"const": "one"}
    assert found["properties"]["word"] == {"type": "string", "examples": ["hello"]}
    assert found["description"] == "A `sample` of `Inner`."


def test_common_fields_are_described_once_and_references_go_where_the_caller_wants() -> None:
    found = schemas_of([Sample], "sent", "{name}.json")
    assert list(found) == ["Inner", "Sample", "Mobile"]
    assert found["Sample"]["properties"]["held"]["items"] == {"$ref": "Inner.json"}
    assert found["Inner"]["properties"]["mobileNo"] == {"$ref": "Mobile.json"}
    assert "pattern" in found["Mobile"]


def test_prose_keeps_paragraphs_and_lists() -> None:
    assert prose("One\n    line.\n\n    Two.\n    - a\n    - b\n") == "One line.\n\nTwo.\n- a\n- b"
    assert prose(None) == ""
