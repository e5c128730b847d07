"""What Schemathesis is told that its own checks cannot know."""

import re
from typing import Any

import schemathesis

from handlers.operations import OPERATIONS
from protocol.fields import MORE_RULES
from protocol.json_schemas import schemas_of


def fields_with_more_rules(method: str, path: str) -> set[str]:
    """The fields of a body with rules that its schema cannot say."""
    kind = OPERATIONS[method, re.sub(r"{(\w+)}", r"<\1:str>", path)].body
    if kind is None:
        return set()
    fields = schemas_of([kind], "read")[kind.__name__]["properties"]
    return {
        name for name, field in fields.items() if any(MORE_RULES in each for each in (field, *field.get("anyOf", ())))
    }


@schemathesis.check
def fitting_data_is_refused_only_for_what_no_schema_says(_ctx: Any, response: Any, case: Any) -> None:
    """In place of ``positive_data_acceptance`` for 400: the field it names must be marked."""
    if response.status_code != 400 or case.meta is None or not case.meta.generation.mode.is_positive:
        return
    named = {each["field"] for each in response.json().get("errors", ())}
    assert named, "a request that fits was refused, and no field was named"
    unmarked = named - fields_with_more_rules(case.operation.method.upper(), case.operation.path)
    assert not unmarked, f"a request that fits was refused for {sorted(unmarked)}: describe what is accepted there"
