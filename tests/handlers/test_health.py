"""Live and ready."""

from tests.support.api import Api


async def test_health_needs_nothing(api: Api) -> None:
    answer = await api.client.get("/health")
    assert (answer.status_code, answer.json()["success"]) == (200, True)


async def test_ready_names_what_does_not_answer(api: Api) -> None:
    good = await api.client.get("/ready")
    assert (good.status_code, good.json()["checks"]) == (200, {"redis": True, "postgresql": True})
    api.notes.probes.checks["postgresql"] = False
    bad = await api.client.get("/ready")
    assert (bad.status_code, bad.json()["code"]) == (503, "unavailable")
    assert bad.json()["checks"] == {"redis": True, "postgresql": False}
    assert int(bad.headers["retry-after"]) > 0
