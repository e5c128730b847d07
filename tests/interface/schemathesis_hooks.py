"""What Schemathesis is told that its own checks cannot know."""

import itertools
from typing import Any, Final

import requests
import schemathesis

from handlers.openapi import written
from handlers.operations import OPERATIONS
from protocol.fields import MORE_RULES
from protocol.json_schemas import schemas_of

PROOF: Final = {"code_missing", "code_wrong"}
"""A server may want a proof that the number is theirs; no schema knows."""


def fields_with_more_rules(method: str, path: str) -> set[str]:
    """The fields of a body with rules that its schema cannot say."""
    kind = next(each for key, each in OPERATIONS.items() if (key[0], written(key[1])) == (method, path)).body
    if kind is None:
        return set()
    fields = schemas_of([kind], "read")[kind.__name__]["properties"]
    return {
        name for name, field in fields.items() if any(MORE_RULES in each for each in (field, *field.get("anyOf", ())))
    }


@schemathesis.auth(refresh_interval=None)  # type: ignore[arg-type]
class LogIn:
    """Who asks: each request comes from somebody newly logged in, for the one before may have ended their session,
    changed their password, or deleted them. Then somebody new signs up.

    Not in the configuration: an account that is named there would be gone for good.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count(919_700_000_000)
        self._form = self._sign_up_form()

    def get(self, case: Any, _context: Any) -> str | None:
        """A token, where one is taken."""
        if not case.operation.definition.raw["security"]:
            return None
        for _ in range(3):
            answer = requests.post(f"{case.operation.base_url}/auth/login", json=self._form, timeout=15)
            if answer.status_code == 200:
                return str(answer.json()["token"])
            self._form = self._sign_up_form()
            requests.post(f"{case.operation.base_url}/auth/signin", json=self._form, timeout=15).raise_for_status()
        raise AssertionError(answer.text)

    def set(self, case: Any, data: str, _context: Any) -> None:
        """Show the token."""
        case.headers["Authorization"] = f"Bearer {data}"

    def _sign_up_form(self) -> dict[str, str]:
        return {"name": "Tried", "mobileNo": str(next(self._numbers)), "password": "correct horse"}


@schemathesis.check
def fitting_data_is_refused_only_for_what_no_schema_says(_ctx: Any, response: Any, case: Any) -> None:
    """In place of ``positive_data_acceptance`` for 400: the field it names must be marked."""
    if response.status_code != 400 or case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if response.json()["code"] in PROOF:
        return
    named = {each["field"] for each in response.json().get("errors", ())}
    assert named, "a request that fits was refused, and no field was named"
    unmarked = named - fields_with_more_rules(case.operation.method.upper(), case.operation.path)
    assert not unmarked, f"a request that fits was refused for {sorted(unmarked)}: describe what is accepted there"
