"""For whoever keeps this server running."""

from typing import Any

from sanic import Request
from sanic.response import HTTPResponse

from handlers.errors import refuse
from handlers.responses import success
from handlers.services import services
from protocol.errors import ApiError


async def live(_request: Request) -> HTTPResponse:
    """``GET /health``: this process serves. Says nothing of Redis or PostgreSQL: restarting would not help those."""
    return success(status="ok")


async def ready(request: Request) -> HTTPResponse:
    """``GET /ready``: 200 when everything this server needs is fit, else 503; and what is not.

    What is not needed to be of use is told, and still 200: a proxy would take away every server at once."""
    checks = await services(request).probes.check()
    told: dict[str, Any] = {"checks": {name: not check.fault for name, check in checks.items()}}
    faults = [check.fault for check in checks.values() if check.fault]
    if faults:
        told["detail"] = " ".join(faults)
    if any(check.fault and check.needed for check in checks.values()):
        return refuse(ApiError("unavailable"), told)
    return success(status="ok", **told)
