import asyncio
import io
import json
import logging
import logging.config
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from settings.logs import configure, log_config, mask, redact
from tests.server.cli import running

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIiwibW9iaWxlIjoiOTE5ODc2NTQzMjEwIn0.c2lnbmF0dXJlLWNhbmFyeQ"
CANARY = "canary7f3a9c1e5b2d4860"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What is written after `configure`; the logging of the test run is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure("INFO")
    stream = io.StringIO()
    ours = root.handlers[0]
    assert isinstance(ours, logging.StreamHandler)
    ours.setStream(stream)
    yield stream
    root.handlers[:], root.level = handlers, level


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_structlog_and_plain_logging_write_the_same_kind_of_line(written: io.StringIO) -> None:
    structlog.get_logger("ours").warning("something happened", count=3)
    logging.getLogger("theirs").warning("something %s", "else")
    first, second = lines(written)
    assert first | {"timestamp": ""} == {
        "timestamp": "",
        "level": "warning",
        "logger": "ours",
        "event": "something happened",
        "count": 3,
    }
    assert (second["event"], second["level"], second["logger"]) == ("something else", "warning", "theirs")
    assert first["timestamp"].endswith("Z")


def test_an_exception_is_one_line_without_secrets_or_local_variables(written: io.StringIO) -> None:
    local = "local-variable-" + CANARY
    try:
        raise ValueError(f"no luck with wss://host/x?token={CANARY} and password='{CANARY}'", len(local))
    except ValueError:
        structlog.get_logger("ours").exception("failed")
        logging.getLogger("theirs").exception("failed too")
    assert len(lines(written)) == 2
    assert all("ValueError: " in line["exception"] for line in lines(written))
    assert CANARY not in written.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        f"GET /ws?token={CANARY} HTTP/1.1",
        f"wss://host/?x=1&ticket={CANARY}",
        f"ws://host?to%6ben={CANARY}&y",
        f"Authorization: Bearer {CANARY}",
        f"{{'Authorization': 'Bearer {CANARY}'}}",
        f'{{"password": "{CANARY}"}}',
        f"{{'password': '{CANARY}'}}",
        f"password={CANARY}",
        f"User(mobile='1', password={CANARY!r})",
        f"b'password': b'{CANARY}'",
        f"ticket: {CANARY}",
        f"redis://user:{CANARY}@host:6379/0",
        f"postgres://:{CANARY}@host/db",
    ],
)
def test_secrets_in_any_text_are_taken_out(text: str, written: io.StringIO) -> None:
    structlog.get_logger("ours").error(text)
    structlog.get_logger("ours").error("in a field", anything=text, nested={"deep": [text]}, thing=Opaque(text))
    logging.getLogger("theirs").error("as argument %s", text)
    assert len(lines(written)) == 3
    assert CANARY not in written.getvalue()


class Opaque:
    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


@pytest.mark.parametrize("around", ["{}", "x{}y", '"{}"', "token {} was bad", "a\n{}\nb"])
def test_whatever_looks_like_a_jwt_is_taken_out(around: str, written: io.StringIO) -> None:
    structlog.get_logger("ours").error(around.format(JWT))
    assert "c2lnbmF0dXJl" not in written.getvalue()
    assert "eyJzdWIi" not in written.getvalue()
    assert len(lines(written)) == 1


def test_fields_that_name_a_secret_are_hidden_whatever_they_hold(written: io.StringIO) -> None:
    structlog.get_logger("ours").error("x", token=CANARY, password=[CANARY], Authorization={"a": CANARY})
    assert CANARY not in written.getvalue()


def test_mobile_numbers_keep_two_digits(written: io.StringIO) -> None:
    structlog.get_logger("ours").error("x", mobile="919876543210", sender=919876543211)
    assert lines(written)[0]["mobile"] == "**********10"
    assert lines(written)[0]["sender"] == "**********11"
    assert mask("9") == "9"


@pytest.mark.parametrize(
    "text", ["what? yes", "a: b = c", "https://host/path", "token was bad", "5 passwords tried", '{"count": 3}']
)
def test_ordinary_text_stays(text: str) -> None:
    assert redact(text) == text


def test_redacting_takes_time_in_proportion_to_the_text() -> None:
    for hostile in ("?", "eyJ", "://", "password", "?a", "bearer ", "://a:", "eyJaa.", 'password=\\"', "token:"):
        short, long = (seconds_for(hostile * (size // len(hostile))) for size in (20_000, 160_000))
        assert long < 24 * max(short, 0.001), hostile  # 8 times the text; squared it would be 64 times the time


def seconds_for(text: str) -> float:
    took = []
    for _ in range(3):
        started = time.thread_time()
        redact(text)
        took.append(time.thread_time() - started)
    return min(took)


def test_the_level_holds_and_chatty_libraries_are_quieter(written: io.StringIO) -> None:
    structlog.get_logger("ours").debug("hidden")
    logging.getLogger("ours").debug("hidden")
    logging.getLogger("websockets.server").info("connection closed")
    assert written.getvalue() == ""


def test_the_dict_is_plain_logging_configuration() -> None:
    config = log_config("WARNING")
    assert config["root"]["level"] == "WARNING"
    assert config["disable_existing_loggers"] is False


ARQ_SETTINGS = """
from arq.connections import RedisSettings
from settings.logs import configure
configure("INFO")
async def chore(ctx): pass
class WorkerSettings:
    functions = [chore]
    redis_settings = RedisSettings(port=1, conn_retries=1, conn_retry_delay=0)
"""


def test_the_arq_command_writes_such_lines_from_the_first(tmp_path: Path) -> None:
    (tmp_path / "chores.py").write_text(ARQ_SETTINGS)
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "arq", "chores.WorkerSettings"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(root), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    logged = [line for line in done.stderr.splitlines() if "retries remaining" in line]
    assert len(logged) == 1
    assert json.loads(logged[0])["logger"] == "arq.connections"


async def test_an_access_log_says_what_was_asked_and_answered_without_the_query(tmp_path: Path) -> None:
    with running(tmp_path, workers=1, SANIC_ACCESS_LOG="true") as command:
        reader, writer = await asyncio.open_connection("127.0.0.1", command.port)
        writer.write(f"GET /nothing?token={JWT}&name={CANARY} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        writer.close()
        assert await asyncio.to_thread(command.stop) == 0
        assert CANARY not in command.log.read_text()
        told = [line for line in command.lines() if line["logger"] == "sanic.access"]
        assert "" not in [line["event"] for line in told]
        (mine,) = [line for line in told if line.get("request") == "GET http://x/nothing"]
        assert (mine["event"], mine["status"]) == ("request", 404)
        assert mine["host"].startswith("127.0.0.1:")
        assert mine["duration"].endswith("ms")
        assert mine["byte"] > 0


async def test_no_token_reaches_the_log_of_the_real_command(tmp_path: Path) -> None:
    with running(tmp_path) as command:
        async with connect(command.url(f"/ws?token={JWT}&ticket={CANARY}")) as client:
            await client.send("raise")
            await client.wait_closed()
        with pytest.raises(InvalidStatus):
            await connect(
                command.url(f"/?token={JWT}&ticket={CANARY}"), additional_headers={"Sec-WebSocket-Version": "8"}
            )
        reader, writer = await asyncio.open_connection("127.0.0.1", command.port)
        for query in (f"token={JWT}", f"ticket={CANARY}", f"to%6ben={CANARY}"):
            writer.write(f"GET /fail?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert b" 500 " in await reader.readline()
            await reader.readuntil(b"\r\n\r\n")
        writer.close()
        assert await asyncio.to_thread(command.stop) == 0
        text = command.log.read_text()
        assert "failed at" in text
        assert "the handler of a socket failed" in [line["event"] for line in command.lines()]
        assert CANARY not in text
        assert JWT.split(".")[1] not in text
