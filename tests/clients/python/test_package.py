"""The package builds, and holds what it needs and nothing else."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "clients" / "python"
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"


def test_the_wheel(tmp_path: Path) -> None:
    copy = shutil.copytree(PACKAGE, tmp_path / "copy", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-c", BUILD, tmp_path], cwd=copy, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    files = (path for path in (PACKAGE / "src" / "whatsapp_mini").rglob("*.*") if path.suffix != ".pyc")
    expected = {str(path.relative_to(PACKAGE / "src")) for path in files}
    assert {name for name in names if name.startswith("whatsapp_mini/")} == expected
    assert {"whatsapp_mini/py.typed", "whatsapp_mini/core/core.py"} <= expected
    (info,) = {name.partition("/")[0] for name in names if not name.startswith("whatsapp_mini/")}
    assert info.endswith(".dist-info"), "and no tests"
    with zipfile.ZipFile(wheel) as opened:
        assert opened.read(f"{info}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
        metadata = opened.read(f"{info}/METADATA").decode()
    assert {"License-Expression: MIT", "Description-Content-Type: text/markdown"} <= set(metadata.splitlines())


PROGRAM = """
import asyncio
from collections.abc import Sequence

from whatsapp_mini import Client, Message, SqliteStore, StoreError
from whatsapp_mini.events import MessageCame, Tick

me = Client("http://x", "919800000001", store=SqliteStore("x", history=True))


@me.on_message
async def echo(message: Message) -> Message:
    return await me.send(message.peer, message.text)


reveal_type(echo)


async def main(numbers: Sequence[str]) -> int:
    me.watch(numbers)
    async with asyncio.TaskGroup() as group:
        group.create_task(me.run())
    async for message in me.messages():
        reveal_type(message.state)
    async for event in me.events():
        match event:
            case Tick(peer, ids):
                reveal_type(ids)
            case MessageCame(message):
                await me.mark_read(message.peer, [message.id])
    return len(await me.api.devices())
"""


def test_a_program_that_uses_it_is_checked_strictly(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    for version in ("3.11", "3.13"):
        command = ["-m", "mypy", "--strict", "--config-file=", "--python-version", version, "program.py"]
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env={"MYPYPATH": str(PACKAGE / "src"), "MYPY_CACHE_DIR": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
            check=False,
        )
        revealed = [line.split(": ", 2)[-1] for line in done.stdout.splitlines() if "Revealed type" in line]
        assert done.returncode == 0, done.stdout
        assert "Coroutine[Any, Any, " in revealed[0], "the handler has its own type still"
        assert "Literal[" in revealed[1]
        assert "tuple[" in revealed[2]


def test_what_it_depends_on_is_what_its_readme_says() -> None:
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {dependency.split(">")[0] for dependency in project["dependencies"]} == {"httpx", "websockets"}
    assert project["requires-python"] == ">=3.11"
