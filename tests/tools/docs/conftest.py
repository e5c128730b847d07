"""The site, built once for all tests that look at it."""

from pathlib import Path

import pytest

from tools.docs import site
from tools.docs.contents import pages


@pytest.fixture(scope="session")
def built_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    assert site.build(folder) == len(pages())
    return folder
