"""Everything that is held about a person, for that person: sent in parts, so that a full mailbox takes no memory."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog
from msgspec import UNSET, UnsetType
from sanic import Request
from sanic.response import ResponseStream

from accounts.event_log import NEWEST, past_events
from accounts.held import HeldOfAccount, HeldUser, held_of
from accounts.tokens import Claims
from delivery.held import HeldOfPerson
from delivery.rate_limits import exports
from handlers import answers
from handlers.authentication import authenticated
from handlers.responses import NO_STORE, rfc3339
from handlers.services import Services, services
from handlers.sessions import event_line
from protocol.entries import Chat, Entry, OwnChat, OwnRead, Receipt
from protocol.errors import ApiError
from protocol.privacy import Privacy

logger = structlog.get_logger(__name__)
SECONDS: Final = 60.0
"""How long a client may take to read it all."""
_encode: Final = msgspec.json.Encoder().encode
_TYPES: Final[dict[type[Entry], str]] = {Chat: "chat", Receipt: "ack", OwnChat: "own", OwnRead: "ownRead"}
_LISTS: Final = b'"waiting":[],"events":[]}'
"""The end of an :class:`handlers.answers.Export` whose long lists are empty."""


@authenticated
async def export(request: Request, claims: Claims) -> ResponseStream:
    """``GET /v1/export``. An answer that breaks off is no JSON: something failed, and the client asks again."""
    mine = services(request)
    await mine.limits.take(exports(mine.settings), claims.account_id)
    account, person = await asyncio.gather(held_of(claims.account_id), mine.held.of(claims.mobile, claims.account_id))
    head = _encode(_export(account, person))

    async def send(response: Any) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                async for part in _parts(mine, claims, head.removesuffix(_LISTS)):
                    await response.write(part)
        except (ApiError, TimeoutError) as error:
            logger.warning("an export broke off", error=str(error) or type(error).__name__)
            request.transport.close()  # without the end that an answer in parts has

    return ResponseStream(send, headers=NO_STORE, content_type="application/json")


async def _parts(mine: Services, claims: Claims, head: bytes) -> AsyncIterator[bytes]:
    """The object, in the order of :class:`handlers.answers.Export`: its two long lists are at the end."""
    yield head + b'"waiting":['
    separator = b""
    async for entries in mine.held.waiting(claims.mobile, claims.account_id):
        yield separator + b",".join(_encode(_waiting(entry)) for entry in entries)
        separator = b","
    yield b'],"events":['
    separator, before = b"", NEWEST
    while events := await past_events(claims.account_id, before):
        yield separator + b",".join(_encode(event_line(event)) for event in events)
        separator, before = b",", events[-1].id
    yield b"]}"


def _export(account: HeldOfAccount, person: HeldOfPerson) -> answers.Export:
    user = account.user
    return answers.Export(
        exported_at=rfc3339(datetime.now(UTC)),
        profile=_profile(user),
        privacy=answers.privacy_shown(
            Privacy(user.last_seen_to, user.online_to, user.read_receipts, user.stranger_receipts)
        ),
        presence=answers.HeldPresence(last_seen=_known(person.last_seen), last_seen_before=_known(user.last_seen_at)),
        connections=_devices(person.connections),
        devices=_devices(person.devices),
        sessions=[
            answers.HeldSession(
                id=one.id,
                device_id=one.device_id,
                device_name=one.device_name,
                created_at=rfc3339(one.created_at),
                expires_at=rfc3339(one.expires_at),
                last_used_at=_known(one.last_used_at),
                refreshed_at=_known(one.refreshed_at),
                ended_at=_known(one.revoked_at),
            )
            for one in account.sessions
        ],
        blocks=[
            answers.HeldBlock(mobile_no=one.mobile_no, name=one.name, since=rfc3339(one.created_at))
            for one in account.blocks
        ],
        contacts=person.contacts,
        unanswered=person.unanswered,
        login_places=[answers.LoginPlace(digest=digest, at=rfc3339(at)) for digest, at in person.login_places.items()],
        waiting=[],
        events=[],
    )


def _profile(user: HeldUser) -> answers.HeldProfile:
    return answers.HeldProfile(
        id=user.id,
        name=user.name,
        about=user.about,
        mobile_no=user.mobile_no,
        created_at=rfc3339(user.created_at),
        mobile_since=_known(user.mobile_since),
    )


def _known(moment: datetime | int | None) -> str | UnsetType:
    return UNSET if moment is None else rfc3339(moment)


def _devices(moments: dict[str, int]) -> list[answers.DeviceMoment]:
    return [answers.DeviceMoment(device_id=device, at=rfc3339(at)) for device, at in moments.items()]


def _waiting(entry: Entry) -> dict[str, Any]:
    """Whatever sort of entry it is: its fields, as frames call them."""
    fields = {_name(field): value for field, value in msgspec.structs.asdict(entry).items()}
    return {"type": _TYPES.get(type(entry), "unknown"), "timestamp": entry.timestamp} | fields


def _name(field: str) -> str:
    """``message_id`` -> ``messageId``."""
    first, *others = field.split("_")
    return "from" if field == "sender" else first + "".join(other.capitalize() for other in others)
