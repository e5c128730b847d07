"""The bytes of answers: what is sent now is what was sent before they were structs."""

import msgspec
import pytest

from handlers import answers
from handlers.answers import Answer
from protocol.errors import ApiError


@pytest.mark.parametrize(
    ("answer", "sent"),
    [
        (answers.Done(message="done"), b'{"success":true,"message":"done"}'),
        (answers.SignedUp(id="i"), b'{"success":true,"message":"account created successfully","id":"i"}'),
        (
            answers.LoggedIn(
                token="t",
                expires_at="e",
                id="i",
                name="n",
                mobile_no="m",
                device_id="d",
                refresh_token="r",
                refresh_expires_at="f",
            ),
            b'{"success":true,"message":"login successful","token":"t","expiresAt":"e","id":"i","name":"n",'
            b'"mobileNo":"m","deviceId":"d","refreshToken":"r","refreshExpiresAt":"f"}',
        ),
        (
            answers.Ticket(ticket="t", expires_in=30),
            b'{"success":true,"message":"ticket issued","ticket":"t","expiresIn":30}',
        ),
        (
            answers.BlockList(data=[answers.NamedPerson(username="n", mobile_no="m")]),
            b'{"success":true,"data":[{"username":"n","mobileNo":"m"}]}',
        ),
        (
            answers.LastSeen(data=answers.SeenPerson(username="n", mobile_no="m")),
            b'{"success":true,"data":{"username":"n","mobileNo":"m"}}',
        ),
        (
            answers.LastSeen(data=answers.SeenPerson(username="n", mobile_no="m", last_seen="online")),
            b'{"success":true,"data":{"username":"n","mobileNo":"m","lastSeen":"online"}}',
        ),
        (answers.Healthy(), b'{"success":true,"status":"ok"}'),
        (answers.Ready(checks={"redis": True}), b'{"success":true,"status":"ok","checks":{"redis":true}}'),
        (
            answers.Ready(checks={"redis": True}, detail="d"),
            b'{"success":true,"status":"ok","checks":{"redis":true},"detail":"d"}',
        ),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Answer) else "",
)
def test_bytes(answer: Answer, sent: bytes) -> None:
    assert msgspec.json.encode(answer) == sent


def test_errors_are_as_the_struct_has_them() -> None:
    """The body is made in protocol/errors.py, which knows no HTTP."""
    for error in (ApiError("not_found"), ApiError("bad_request", [{"field": "f", "message": "m"}])):
        body = error.body()
        assert msgspec.to_builtins(msgspec.convert(body, answers.Problem)) == body
