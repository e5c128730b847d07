"""The Chromium that the tests of the page use: where it is, and whether they must run. Standard library only."""

import os
import shutil
from typing import Final

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str | None:
    """The path of the program: what ``CHROMIUM_BIN`` names, else the first one on the PATH."""
    named = os.environ.get("CHROMIUM_BIN")
    names = [named] if named else _NAMES
    return next((found for name in names if (found := shutil.which(name))), None)


def is_required() -> bool:
    """Whether a missing browser is a failure: in continuous integration a skipped test protects nothing."""
    return os.environ.get("CI") == "true"


def is_wanted() -> bool:
    """Whether the tests need the driver. It is large, so nobody without a Chromium should wait for it."""
    return is_required() or chromium() is not None
