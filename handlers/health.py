"""For operators: whether this process runs, and whether this server can do its work."""

from msgspec import UNSET
from sanic import Request
from sanic.response import HTTPResponse

from handlers.answers import Healthy, Ready
from handlers.errors import error_response
from handlers.responses import success
from handlers.services import services
from protocol.errors import ApiError


async def live(_request: Request) -> HTTPResponse:
    """``GET /health``: this process runs. Says nothing of Redis or PostgreSQL: a restart would not help those."""
    return success(Healthy())


async def ready(request: Request) -> HTTPResponse:
    """``GET /ready``: 200 when everything this server needs works, else 503; and what does not work.

    A fault in what is not needed is reported with 200: after 503 a proxy would remove every server at once."""
    checks = await services(request).readiness.check()
    works = {name: not check.fault for name, check in checks.items()}
    detail = " ".join(check.fault for check in checks.values() if check.fault)
    if any(check.fault and check.needed for check in checks.values()):
        return error_response(ApiError("unavailable"), {"checks": works, "detail": detail})
    return success(Ready(checks=works, detail=detail or UNSET))
