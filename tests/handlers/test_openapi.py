"""The OpenAPI document: valid, whole, and true of the table that it is made of."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from handlers import ROUTES, answers, requests
from handlers.openapi import METHODS, ON_ANY_PATH, build, document, example_of, written
from handlers.operations import OPERATIONS, Link, Operation
from protocol.errors import ERRORS

DOCUMENT: dict[str, Any] = json.loads(document())
ROOT = Path(__file__).resolve().parents[2]


def served() -> dict[tuple[str, str], dict[str, Any]]:
    """The document's operations, by method and the path as Sanic writes it."""
    paths = {written(path): path for _, path, _ in ROUTES}
    return {
        (method.upper(), paths[path]): operation
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
    }


def resolved(part: Any) -> Any:
    """What a reference leads to."""
    while "$ref" in part and len(part) == 1:
        found: Any = DOCUMENT
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def test_it_is_valid() -> None:
    assert [str(error) for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_a_mistake_in_it_is_found() -> None:
    wrong = json.loads(document())
    del wrong["paths"]["/auth/login"]["post"]["responses"]["200"]["description"]
    assert list(OpenAPIV31SpecValidator(wrong).iter_errors())


def test_no_route_and_no_method_is_missing() -> None:
    expected = {(method, path) for method, path, _ in ROUTES}
    expected |= {("HEAD", path) for method, path, _ in ROUTES if method == "GET"}
    expected |= {("OPTIONS", path) for _, path, _ in ROUTES}
    assert set(served()) == expected


@pytest.mark.parametrize("route", OPERATIONS, ids=" ".join)
def test_every_code_of_a_route_is_in_it_with_its_status_and_an_example(route: tuple[str, str]) -> None:
    operation, found = OPERATIONS[route], served()[route]
    told = {}
    for status, answer in ((status, resolved(each)) for status, each in found["responses"].items()):
        for code, example in answer.get("content", {}).get("application/json", {}).get("examples", {}).items():
            told[code] = int(status)
            assert resolved(example)["value"] == example_of(code)
            assert ("Retry-After" in answer["headers"]) == (status in {"429", "503"})
    assert told == {code: ERRORS[code].status for code in operation.all_codes}
    assert found["security"] == ([{"bearer": []}] if operation.bearer else [])


def test_codes_of_any_path_are_in_it() -> None:
    shared = DOCUMENT["components"]["responses"].values()
    told = {code for each in shared for code in each["content"]["application/json"]["examples"]}
    assert set(ON_ANY_PATH) <= told


def test_requests_say_what_is_required_and_what_fits() -> None:
    login = DOCUMENT["components"]["schemas"]["Login"]
    assert login["required"] == ["mobileNo", "password"]
    assert login["properties"]["password"]["maxLength"] == 72
    written = resolved(login["properties"]["mobileNo"])
    assert written["maxLength"] == 64
    assert re.search(written["pattern"], "+91 98000-00001")


def test_answers_are_whole_but_for_what_may_be_absent() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["LoggedIn"]["properties"]["success"] == {"const": True}
    assert set(schemas["SeenPerson"]["properties"]) - set(schemas["SeenPerson"]["required"]) == {"lastSeen"}
    assert set(schemas["Problem"]["properties"]) - set(schemas["Problem"]["required"]) == {"errors", "retryAfter"}


def test_a_query_is_described_field_by_field() -> None:
    (parameter,) = served()["GET", "/profile/lastseen"]["parameters"]
    assert (parameter["name"], parameter["in"], parameter["required"]) == ("mobileNo", "query", True)


def test_links_lead_to_operations_and_name_their_parameters() -> None:
    by_id = {operation["operationId"]: operation for operation in served().values()}
    for operation in OPERATIONS.values():
        for link in operation.links:
            names = {each["name"] for each in by_id[link.to].get("parameters", ())}
            assert set(link.parameters) <= names, (operation.id, link.to)


def references(part: Any) -> set[str]:
    if isinstance(part, list):
        return {each for one in part for each in references(one)}
    if not isinstance(part, dict):
        return set()
    return {each for one in part.values() for each in references(one)} | ({part["$ref"]} if "$ref" in part else set())


def test_every_part_is_used() -> None:
    """All but the answer to other methods: they are no operations."""
    parts = {f"#/components/{kind}/{name}" for kind, each in DOCUMENT["components"].items() for name in each}
    unused = {"#/components/responses/MethodNotAllowed", "#/components/securitySchemes/bearer"}
    assert parts - references(DOCUMENT) - unused == set()


def test_methods_that_every_path_has_are_apart() -> None:
    for (method, _), operation in served().items():
        assert (operation["tags"] == [METHODS]) == (method in {"HEAD", "OPTIONS"})
    head = served()["HEAD", "/profile/lastseen"]
    assert head["parameters"] == served()["GET", "/profile/lastseen"]["parameters"]
    assert all("content" not in answer for answer in head["responses"].values())


def test_its_version_is_the_product_s() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert DOCUMENT["info"]["version"] == project["version"]


class Place(msgspec.Struct):
    """A part of a path."""

    name: str


def test_any_table_of_operations_can_be_described() -> None:
    made = build({
        ("GET", "/x/<name:str>"): Operation(
            id="x", summary="X", tag="page", path=Place, answer=answers.Done, about="More.", links=(Link("y"),)
        ),
        ("PUT", "/x/<name:str>"): Operation(
            id="y", summary="Y", tag="page", path=Place, answer=answers.Done, body=requests.BlockRequest, bearer=True
        ),
    })  # fmt: skip
    assert list(OpenAPIV31SpecValidator(made).iter_errors()) == []
    item = made["paths"]["/x/{name}"]
    assert list(item) == ["get", "head", "put", "options"]
    assert item["options"]["parameters"][0]["in"] == "path"
    assert (item["get"]["description"], list(item["get"]["responses"]["200"]["links"])) == ("More.", ["y"])
