"""PostgreSQL refuses root: who it runs as instead, and where it then lives."""

import os
import stat
from pathlib import Path

import pytest

from tools.devstack import home
from tools.devstack.places import fallback_name
from tools.devstack.postgres import Postgres
from tools.devstack.tether import NOBODY


def test_usually_it_lives_in_the_data_directory(tmp_path: Path) -> None:
    place = home.postgres_home(tmp_path)
    if place.identity == "nobody":
        pytest.skip("user namespaces are forbidden here")
    assert place.data == tmp_path / "postgres"
    assert (place.identity == "userns") == (os.geteuid() == 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to step aside")
def test_without_user_namespaces_root_moves_it_out_to_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    allowed = home.run_as
    monkeypatch.setattr(home, "run_as", lambda identity, *rest: identity != "userns" and allowed(identity, *rest))
    server = Postgres(tmp_path)
    outside = Path("/var/tmp") / fallback_name(tmp_path)  # noqa: S108 - only looked at
    try:
        server.start()
        assert server.home.data.is_relative_to(outside)
        assert server.home.data.stat().st_uid == NOBODY
        assert stat.S_IMODE(server.home.sockets.stat().st_mode) == 0o700
        assert Path(f"/proc/{server.pid}").stat().st_uid == NOBODY
        server.stop()
        again = Postgres(tmp_path)
        again.start()
        again.stop()
    finally:
        server.destroy()
    assert not outside.exists()
