"""Every vector of ``docs/vectors`` is what the server does, in both dialects; and none is missing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from redis.asyncio import Redis
from referencing import Registry, Resource

from protocol.described_frames import DIALECTS, NOT_IN_SEED, ON_THE_SOCKET, SEED, kinds
from tests.interface.vectors import Names, Player, Vector, example_of, load
from tests.support.fragile import Fragile, fragile_product
from tests.support.stack import ServerGroup, Stack

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "schemas"
VECTORS = load()
ORDINARY = [each for each in VECTORS if not each.settings and not each.happens()]
LIMITED = [each for each in VECTORS if each.settings]
BROKEN = [each for each in VECTORS if each.happens()]


def each_of(vectors: list[Vector]) -> pytest.MarkDecorator:
    """Each of these in each of its dialects."""
    cases = [(vector, dialect) for vector in vectors for dialect in vector.dialects]
    return pytest.mark.parametrize(("vector", "dialect"), cases, ids=[f"{v.name} ({d})" for v, d in cases])


async def nothing(what: str, _names: Names) -> None:
    raise AssertionError(what)


@each_of(ORDINARY)
async def test_the_server_does_as_the_vector_says(product: ServerGroup, vector: Vector, dialect: str) -> None:
    await Player(product, dialect, nothing).play(vector, product.url)


@pytest.fixture(scope="module")
def servers(lasting_stack: Stack) -> dict[str, ServerGroup]:
    """Those with settings of their own, by these."""
    return {"": lasting_stack.start(workers=1)}


@each_of(LIMITED)
async def test_a_server_with_other_settings_does_as_the_vector_says(
    servers: dict[str, ServerGroup], lasting_stack: Stack, vector: Vector, dialect: str
) -> None:
    key = str(sorted(vector.settings.items()))
    if key not in servers:
        servers[key] = lasting_stack.start(workers=1, **vector.settings)
    await Player(servers[key], dialect, nothing).play(vector, servers[""].url)


@pytest.fixture(scope="module")
def breakable(postgres_cluster: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fragile]:
    with fragile_product(postgres_cluster, tmp_path_factory.mktemp("logs")) as running:
        yield running


@each_of(BROKEN)
async def test_a_server_in_bad_times_does_as_the_vector_says(breakable: Fragile, vector: Vector, dialect: str) -> None:
    breakable.mend()
    group = breakable.server
    if "the server stops" in vector.happens():
        group = breakable.stack.start(workers=1)

    async def happen(what: str, names: Names) -> None:
        async with Redis.from_url(breakable.valkey.url) as admin:
            if what == "the storage is lost":
                await admin.flushall()
            elif what == "the storage is full":
                await admin.config_set("maxmemory", "1")
            elif what == "the mailbox of ravi is damaged":
                await admin.set(f"mailbox:{{{names.filled('$ravi')}}}", "no stream")
            elif what == "the storage goes away":
                breakable.valkey.kill()
            else:
                assert what == "the server stops", what
                group.child.signal()

    await Player(group, dialect, happen).play(vector, breakable.server.url)


# ---- nothing is missing


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_frame_has_a_vector(dialect: str) -> None:
    for sender, key in (("client", "sends"), ("server", "gets")):
        described = {kind.type for kind in kinds(sender, dialect)}  # type: ignore[arg-type]
        shown = {
            frame["type"]
            for vector in VECTORS
            if dialect in vector.dialects
            for frame in vector.frames(dialect, key)
            if isinstance(frame, dict) and "type" in frame
        }
        assert sorted(described - shown) == [], f"of the {sender}"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_code_of_a_frame_has_a_vector(dialect: str) -> None:
    frames = [frame for vector in VECTORS if dialect in vector.dialects for frame in vector.frames(dialect, "gets")]
    wanted = set(ON_THE_SOCKET) - (NOT_IN_SEED if dialect == SEED else set())
    assert sorted(wanted - {frame.get("code") for frame in frames}) == []


def test_what_clients_get_is_as_the_schemas_say() -> None:
    """Also what shows how a client's reader can be tested: placeholders are filled with values of their kind."""
    texts = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in SCHEMAS.iterdir()}
    registry: Registry[Any] = Registry().with_resources(
        (name, Resource.from_contents(schema)) for name, schema in texts.items()
    )
    for dialect in DIALECTS:
        validator = jsonschema.Draft202012Validator(texts[f"{dialect}-server.json"], registry=registry)
        for vector in (each for each in VECTORS if dialect in each.dialects):
            for frame in vector.frames(dialect, "gets"):
                filled = example_of(frame)
                assert [error.message for error in validator.iter_errors(filled)] == [], (vector.name, filled)


def test_names_are_unique_and_every_vector_runs_somewhere() -> None:
    names = [vector.name for vector in VECTORS]
    assert sorted(set(names)) == sorted(names)
    assert sorted(each.name for each in [*ORDINARY, *LIMITED, *BROKEN]) == sorted(names)
