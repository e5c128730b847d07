"""What Redis is told by ``run.py``, by the compose file and by the documentation, and what the product checks: one."""

import re

import pytest
import yaml
from redis import Redis

from delivery.redis.configuration import AT_LEAST, EXACTLY, RECOMMENDED
from tools.devstack.options import ROOT
from tools.devstack.storage import MAXMEMORY
from tools.devstack.valkey import DIRECTIVES, Valkey

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]["redis"]
ROW = re.compile(r'^\| `([a-z-]+)` \| `(?:(""|[\w ]+))`', re.MULTILINE)


def documented() -> dict[str, str]:
    """The table of directives, as configuration values."""
    section = (ROOT / "docs" / "OPERATIONS.md").read_text(encoding="utf-8").partition("\n### Directives\n")[2]
    return {name: value.strip('"') for name, value in ROW.findall(section.partition("\n### ")[0])}


def composed() -> dict[str, str]:
    """The command of the container, with the default put in for what an operator may set."""
    words = [re.sub(r"\$\{\w+:-(\w+)\}", r"\1", word) for word in COMPOSE["command"][1:]]
    return {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}


@pytest.mark.parametrize("where", [documented, composed])
def test_everyone_tells_the_same(where: object) -> None:
    assert callable(where)
    assert where() == {**DIRECTIVES, "maxmemory": MAXMEMORY}


def test_the_container_may_use_more_than_maxmemory() -> None:
    assert "${REDIS_MAXMEMORY:-1gb}" in COMPOSE["command"]
    assert COMPOSE["volumes"] == ["redis:/data"]
    assert COMPOSE["mem_limit"] == "${REDIS_MEMORY_LIMIT:-2gb}", "more than maxmemory"


def test_a_server_told_so_is_what_the_product_checks_for(own_valkey: Valkey) -> None:
    with Redis.from_url(own_valkey.url, decode_responses=True) as client:
        client.config_set("maxmemory", MAXMEMORY)
        told = client.config_get(*RECOMMENDED)
    assert {name: told[name] for name in EXACTLY} == EXACTLY
    assert told["auto-aof-rewrite-min-size"] == str(AT_LEAST["auto-aof-rewrite-min-size"])
    assert int(told["maxmemory"]) >= AT_LEAST["maxmemory"]
    assert {*EXACTLY, *AT_LEAST} == {*RECOMMENDED} == {*DIRECTIVES, "maxmemory"}
