"""A person's own sessions, and what happened to them."""

import uuid

from msgspec import UNSET
from sanic import Request
from sanic.response import HTTPResponse

from accounts.event_log import PastEvent, past_events
from accounts.login import end_session
from accounts.tokens import Claims
from delivery.rate_limits import own_account
from handlers.answers import Done, EventLine, EventList, SessionLine, SessionList
from handlers.authentication import authenticated
from handlers.requests import EventsQuery, query
from handlers.responses import rfc3339, success
from handlers.services import services
from protocol.errors import ApiError


@authenticated
async def list_sessions(request: Request, claims: Claims) -> HTTPResponse:
    """``GET /v1/sessions``."""
    mine = services(request)
    await mine.limits.take(own_account(mine.settings), claims.account_id)
    lines = [
        SessionLine(
            id=session.session_id,
            device_id=session.device_id,
            device_name=session.device_name,
            created_at=rfc3339(session.created_at),
            last_used_at=rfc3339(session.last_used_at),
            current=session.session_id == claims.session_id,
        )
        for session in await mine.sessions.of(claims.account_id)
    ]
    return success(SessionList(data=lines))


@authenticated
async def close_session(request: Request, claims: Claims) -> HTTPResponse:
    """``DELETE /v1/sessions/<id>``: its tokens stop working and its sockets close."""
    mine, session_id = services(request), _id(request.match_info["id"])
    await mine.limits.take(own_account(mine.settings), claims.account_id)
    await end_session(mine.sessions, mine.events, claims, session_id)
    return success(Done(message="session ended"))


@authenticated
async def list_events(request: Request, claims: Claims) -> HTTPResponse:
    """``GET /v1/events``."""
    mine, asked = services(request), query(request, EventsQuery)
    await mine.limits.take(own_account(mine.settings), claims.account_id)
    found = await past_events(claims.account_id, asked.before, asked.limit)
    return success(EventList(data=[event_line(event) for event in found]))


def event_line(event: PastEvent) -> EventLine:
    """The event as it is told."""
    return EventLine(
        id=str(event.id),
        kind=event.kind,
        at=rfc3339(event.at),
        device_id=event.device_id,
        session_id=event.session_id or UNSET,
        reason=event.reason or UNSET,
        times=event.times,
    )


def _id(written: str) -> str:
    try:
        return str(uuid.UUID(written))
    except ValueError:
        raise ApiError("not_found") from None
