"""JSON Schemas as rows of a table: one for each field, those of objects inside with a dotted name."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

Schema = Mapping[str, Any]
_DEEPEST: Final = 4


class Schemas:
    """The named schemas of an OpenAPI or AsyncAPI document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._named: Mapping[str, Schema] = document["components"]["schemas"]

    def resolve(self, schema: Schema) -> Schema:
        """Follow ``$ref``. What stands beside it counts more."""
        while "$ref" in schema:
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            schema = {**self._named[schema["$ref"].rpartition("/")[2]], **rest}
        return schema

    def table(self, schema: Schema) -> list[str]:
        """Lines of Markdown; none if there are no fields."""
        rows = list(self._rows(schema, "", 0))
        return ["| field | type | |", "|---|---|---|", *rows] if rows else []

    def _rows(self, schema: Schema, prefix: str, depth: int) -> Iterator[str]:
        schema = self.resolve(schema)
        required = schema.get("required", ())
        for name, field in schema.get("properties", {}).items():
            about = self._described(field)
            optional = "" if name in required else "?"
            yield f"| `{prefix}{name}{optional}` | {self.kind(field)} | {about} |"
            inner = self._inner(field)
            if inner and depth < _DEEPEST:
                yield from self._rows(inner[0], f"{prefix}{name}{inner[1]}.", depth + 1)

    def _inner(self, field: Schema) -> tuple[Schema, str] | None:
        """The object that a field holds, or that its list holds."""
        field = self._without_null(self.resolve(field))
        if field.get("type") == "array":
            item = self.resolve(field["items"])
            return (item, "[]") if "properties" in item else None
        return (field, "") if "properties" in field else None

    def _without_null(self, schema: Schema) -> Schema:
        kinds = [self.resolve(each) for each in schema.get("anyOf", ())]
        kinds = [each for each in kinds if each.get("type") != "null"]
        return kinds[0] if len(kinds) == 1 else schema

    def kind(self, schema: Schema) -> str:
        """In words: ``string``, ``list of integer``, the values that are allowed, or a named type."""
        named = self._type_of(schema)
        if named:
            return f"[{named}](#types)"
        schema = self._without_null(self.resolve(schema))
        if "const" in schema:
            return f"`{_json(schema['const'])}`"
        if "enum" in schema:
            return " or ".join(f"`{_json(each)}`" for each in schema["enum"])
        if "anyOf" in schema and "type" not in schema:
            return " or ".join(self.kind(each) for each in schema["anyOf"])
        if schema.get("type") == "array":
            return f"list of {self.kind(schema['items'])}"
        return f"{schema.get('type', 'anything')}{_bounds(schema)}"

    def types(self) -> list[str]:
        """A table of the named types that are no objects: lines of Markdown."""
        rows = [
            f"| {name} | {schema.get('type', 'string')} | {self._described(schema)} |"
            for name, schema in sorted(self._named.items())
            if "properties" not in schema
        ]
        return ["| type | is a | |", "|---|---|---|", *rows]

    def _type_of(self, schema: Schema) -> str:
        """The name of its type, if that is in :meth:`types`."""
        for each in (schema, *schema.get("anyOf", ())):
            name = each.get("$ref", "").rpartition("/")[2]
            if name and "properties" not in self._named[name]:
                return str(name)
        return ""

    def _described(self, field: Schema) -> str:
        if self._type_of(field) and "description" not in field:
            return ""
        schema = self._without_null(self.resolve(field))
        examples = schema.get("examples", ())
        example = f" Example: `{_json(examples[0])}`." if examples and not isinstance(examples[0], dict | list) else ""
        more = " The server checks more than the schema says." if schema.get("x-more-rules") else ""
        about = field.get("description") or schema.get("description", "")
        return f"{about}{more}{example}".replace("\n", " ").replace("|", "\\|").strip()


def _json(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _bounds(schema: Schema) -> str:
    if schema.get("type") == "string" and "maxLength" in schema:
        least = f"{schema['minLength']} to" if schema.get("minLength") else "at most"
        return f", {least} {schema['maxLength']} characters"
    if schema.get("type") == "integer" and "maximum" in schema and schema["maximum"] < 10**15:
        return f", {schema.get('minimum', 0)} to {schema['maximum']}"
    return ""
