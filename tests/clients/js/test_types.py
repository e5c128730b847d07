"""What a program gets of the package of the JavaScript client: its types, and what is in it."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.clients.js.support import node_or_skip
from tools.devstack.javascript import CLIENT, compiler

CONSUMER = Path(__file__).parent / "consumer.ts"


@pytest.mark.parametrize("lib", ["ES2023", "ES2023,DOM,DOM.Iterable"])
@pytest.mark.parametrize(("module", "resolution"), [("node16", "node16"), ("esnext", "bundler")])
def test_a_strict_program_in_typescript(tmp_path: Path, module: str, resolution: str, lib: str) -> None:
    """Also without the types of browsers, and with the declarations themselves checked."""
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "whatsapp-mini-client").symlink_to(CLIENT)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / CONSUMER.name).write_text(CONSUMER.read_text())
    options = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--target", "ES2022", "--types", "node"]
    where = ["--module", module, "--moduleResolution", resolution, "--lib", lib, CONSUMER.name]
    done = subprocess.run(
        [*compiler(node_or_skip()), *options, *where], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    # Declarations of Node's own types are not ours to mend.
    ours = [line for line in done.stdout.splitlines() if "error TS" in line and "/@types/node/" not in line]
    assert ours == []
    assert done.returncode in (0, 1, 2), done.stderr


def test_what_is_in_the_package(tmp_path: Path) -> None:
    npm = node_or_skip().npm
    command = [*npm, "pack", "--dry-run", "--json", "--ignore-scripts", "--cache", str(tmp_path)]
    done = subprocess.run(command, cwd=CLIENT, capture_output=True, text=True, check=True)
    (packed,) = json.loads(done.stdout)
    names = {file["path"] for file in packed["files"]}
    manifest = json.loads((CLIENT / "package.json").read_text())
    sources = {f"src/{path.name}" for path in (CLIENT / "src").glob("*.js")}
    types = {f"types/{path.name}" for path in (CLIENT / "types").glob("*.d.ts")}
    assert names == {"LICENSE", "README.md", "package.json"} | sources | types
    assert {path.removeprefix("src/").removesuffix(".js") for path in sources} == {
        path.removeprefix("types/").removesuffix(".d.ts") for path in types
    }
    for entry in manifest["exports"].values():
        for path in [entry] if isinstance(entry, str) else entry.values():
            assert (CLIENT / path).is_file(), path
