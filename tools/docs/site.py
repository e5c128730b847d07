"""Builds the site, checks it, and shows it while it is being written."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tools.devstack.probe import free_port, port_is_free
from tools.docs.checks import problems
from tools.docs.contents import ROOT, groups
from tools.docs.links import PageError
from tools.docs.stage import navigation, stage

SITE: Final = ROOT / ".site"
_CONFIGURATION: Final = Path(__file__).resolve().parent / "mkdocs.yml"
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")
_LOOK_SECONDS: Final = 1.0


class SiteError(Exception):
    """The site was not built, or is not as it should be; says why."""


def build(site: Path = SITE) -> int:
    """Build it strictly. What was there before stays if that fails.

    :returns: the number of pages
    :raises SiteError: a warning of the generator, or a problem of the pages that it made
    """
    with tempfile.TemporaryDirectory(prefix="wm-docs-") as made:
        folder = Path(made)
        pages = _prepare(folder)
        command = [sys.executable, "-m", "zensical", "build", "--strict", "-f", "mkdocs.yml"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = _COLOURS.sub("", done.stdout + done.stderr).partition("Traceback")[0]
            raise SiteError(f"the generator failed:\n{said}")
        found = problems(folder / "site", pages)
        if found:
            raise SiteError("\n".join(found))
        shutil.rmtree(site, ignore_errors=True)
        shutil.move(folder / "site", site)
    return len(pages)


def _prepare(folder: Path) -> list[str]:
    """Write what the generator reads; the places of the pages in the site."""
    found = stage(folder / "pages")
    nav = json.dumps(navigation(groups()), ensure_ascii=False)
    text = f"{_CONFIGURATION.read_text(encoding='utf-8')}nav: {nav}\n"
    path = folder / "mkdocs.yml"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
    return [page.target for page in found]


def serve(port: int) -> None:
    """Show it at 127.0.0.1 until Ctrl-C; a file that is saved shows within some seconds.

    :param port: if it is taken, the next free one
    :raises SiteError: the preview ended by itself
    :raises PageError: a page cannot be shown at the beginning; later on, that is only printed
    """
    with tempfile.TemporaryDirectory(prefix="wm-docs-") as made:
        folder = Path(made)
        _prepare(folder)
        free = next((each for each in range(port, 65536) if port_is_free("127.0.0.1", each)), None) or free_port()
        if free != port:
            print(f"port {port} is taken, so {free}")
        print(f"http://127.0.0.1:{free}/ shows the site in some seconds, when it is built. Ctrl-C ends it.", flush=True)
        command = [sys.executable, "-m", "zensical", "serve", "-f", "mkdocs.yml", "-a", f"127.0.0.1:{free}"]
        said = ""
        with subprocess.Popen(command, cwd=folder) as preview:
            try:
                while preview.poll() is None:
                    time.sleep(_LOOK_SECONDS)
                    said = _prepare_again(folder, said)
            finally:
                preview.terminate()
        raise SiteError(f"the preview ended (code {preview.returncode})")


def _prepare_again(folder: Path, said: str) -> str:
    """A page that is being written may be wrong for a moment: say so once, and go on.

    :param said: what is wrong and was printed already
    :returns: what is wrong now
    """
    try:
        _prepare(folder)
    except (PageError, OSError, ValueError) as error:
        if str(error) != said:
            print(f"not shown: {error}", flush=True)
        return str(error)
    return ""
