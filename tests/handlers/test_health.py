"""``GET /health`` and ``GET /ready``."""

from handlers.readiness import Check
from tests.support.api import Api


async def test_health_needs_nothing(api: Api) -> None:
    answer = await api.client.get("/health")
    assert (answer.status_code, answer.json()["success"]) == (200, True)


async def test_ready_names_what_does_not_work_and_why(api: Api) -> None:
    good = await api.client.get("/ready")
    assert good.status_code == 200
    assert good.json()["checks"] == {"redis": True, "postgresql": True, "memory": True}
    assert "detail" not in good.json()
    api.notes.readiness.checks["postgresql"] = Check("It sleeps.")
    bad = await api.client.get("/ready")
    assert (bad.status_code, bad.json()["code"]) == (503, "unavailable")
    assert bad.json()["checks"] == {"redis": True, "postgresql": False, "memory": True}
    assert bad.json()["detail"] == "It sleeps."
    assert int(bad.headers["retry-after"]) > 0


async def test_a_fault_in_what_is_not_needed_is_reported_with_200(api: Api) -> None:
    api.notes.readiness.checks["memory"] = Check("No room.", needed=False)
    answer = await api.client.get("/ready")
    assert (answer.status_code, answer.json()["checks"]["memory"]) == (200, False)
    assert answer.json()["detail"] == "No room."
