"""For whoever keeps this server running."""

from sanic import Request
from sanic.response import HTTPResponse

from handlers.answers import success
from handlers.errors import refuse
from handlers.services import services
from protocol.refusals import Refusal


async def live(_request: Request) -> HTTPResponse:
    """``GET /health``: this process serves. Says nothing of Redis or PostgreSQL: restarting would not help those."""
    return success(status="ok")


async def ready(request: Request) -> HTTPResponse:
    """``GET /ready``: 200 when everything this server depends on answers, else 503 and what does not."""
    checks = await services(request).probes.check()
    if all(checks.values()):
        return success(status="ok", checks=checks)
    return refuse(Refusal("unavailable"), {"checks": checks})
