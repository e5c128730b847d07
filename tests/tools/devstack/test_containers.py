"""docker-compose.yml, the image and the sample environment say what production needs."""

import os
import re
import shutil
import subprocess
import tomllib
from typing import Any

import pytest
import yaml

from settings import Settings
from tools.devstack.options import ROOT

SECRET = "T4oZrVq8w1LxKpYd6sJm3NcBf7HgUa9E"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return parsed


def test_no_database_is_reachable_from_outside(compose: dict[str, Any]) -> None:
    published = {name for name, service in compose["services"].items() if "ports" in service}
    assert published == {"app"}
    assert not any("network_mode" in service for service in compose["services"].values())


def test_everything_that_stays_is_watched_and_comes_back(compose: dict[str, Any]) -> None:
    for name in ("postgres", "redis", "app", "worker"):
        service = compose["services"][name]
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"], name
    for name in ("app", "worker"):
        waits = {needed: how["condition"] for needed, how in compose["services"][name]["depends_on"].items()}
        assert waits == {"migrate": "service_completed_successfully", "redis": "service_healthy"}


def test_every_setting_can_be_set(compose: dict[str, Any]) -> None:
    variables = {name.upper() for name in Settings.model_fields}
    for name in ("app", "worker", "migrate"):
        assert set(compose["services"][name]["environment"]) == variables


def _seconds(duration: str, drain: str | None = None) -> float:
    """Of a duration of compose's, with DRAIN_SECONDS put in."""
    default = f"{Settings.model_fields['drain_seconds'].default:g}"
    plain = duration.replace("${DRAIN_SECONDS:-" + default + "}", drain or default)
    found = re.fullmatch(r"(?:(\d+)m)?([\d.]+)s", plain)
    assert found, plain
    return int(found[1] or 0) * 60 + float(found[2])


@pytest.mark.parametrize("drain", ["0", "5", "0.5", "600"])
def test_stopping_waits_for_the_close_frames_however_long_they_may_take(compose: dict[str, Any], drain: str) -> None:
    assert _seconds(compose["services"]["app"]["stop_grace_period"], drain) >= float(drain) + 10


def test_stopping_waits_for_a_job_to_end(compose: dict[str, Any]) -> None:
    source = (ROOT / "workers" / "__init__.py").read_text(encoding="utf-8")
    job = re.search(r"^JOB_SECONDS = (\d+)$", source, re.MULTILINE)
    assert job
    assert _seconds(compose["services"]["worker"]["stop_grace_period"]) > int(job[1])


def test_a_restart_of_what_does_not_live_leaves_alone_what_is_not_ready(compose: dict[str, Any]) -> None:
    (command,) = [word for word in compose["services"]["app"]["healthcheck"]["test"] if "5000" in word]
    assert "/health'" in command
    assert "/ready" not in command


def test_no_log_fills_the_disk_and_no_container_the_machine(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
    for name in ("postgres", "redis", "app", "worker"):
        assert compose["services"][name]["mem_limit"], name


def test_without_a_secret_nothing_starts(compose: dict[str, Any]) -> None:
    for name in ("app", "worker", "migrate"):
        environment = compose["services"][name]["environment"]
        assert environment["JWT_SECRET"].startswith("${JWT_SECRET:?")
        assert ":${POSTGRES_PASSWORD:?" in environment["DATABASE_URL"]
    assert compose["services"]["postgres"]["environment"]["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed")
@pytest.mark.parametrize(("secret", "password", "code"), [(SECRET, "p4ss", 0), ("", "p4ss", 1), (SECRET, "", 1)])
def test_docker_compose_itself_agrees(secret: str, password: str, code: int) -> None:
    env = {**os.environ, "JWT_SECRET": secret, "POSTGRES_PASSWORD": password}
    command = ["docker-compose", "-f", str(ROOT / "docker-compose.yml"), "config"]
    done = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code, done.stderr


def test_the_image_holds_the_product_and_nothing_else() -> None:
    allowed = {
        line.removeprefix("!").rstrip("/")
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = set(project["tool"]["importlinter"]["root_packages"]) - {"tools", "app"}
    assert allowed == packages | {"app.py", "requirements.txt", "web", "clients/js/src"}


def test_the_image_does_not_run_as_root() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    user = re.findall(r"^USER (\S+)$", text, re.MULTILINE)
    assert user
    assert user[-1] not in ("0", "root")
    assert "requirements-dev" not in text
