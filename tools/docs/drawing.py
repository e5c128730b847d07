"""Draws Mermaid diagrams with Mermaid itself, in a Chromium without a network. Needs npm, once for each change.

The colours in the SVG are variables of ``assets/site.css``, so that one picture does for light and dark.
"""

import hashlib
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from tools.devstack.checks import chromium
from tools.docs.contents import pages
from tools.docs.diagrams import FOLDER, picture, sources, title, unused

_PACKAGE: Final = "@mermaid-js/tiny@11.17.2"  # MIT
_SHA256: Final = "7a644017d37f93c8359790884e6b67fb1f747c78eb20475952404bd87190a3f8"
_COLOURS: Final = {
    "#f4dfe1": "--diagram-fill",
    "#fffdf1": "--diagram-paper",
    "#86305c": "--diagram-border",
    "#241a21": "--diagram-text",
    "#665861": "--diagram-line",
    "#f1e9e1": "--diagram-group",
}
"""Each is used for nothing else, so that it can be told from what Mermaid reckons by itself."""
_FILL, _PAPER, _BORDER, _TEXT, _LINE, _GROUP = _COLOURS
_THEME: Final = {
    "fontFamily": "system-ui, sans-serif",
    "background": _PAPER, "mainBkg": _FILL, "primaryColor": _FILL, "secondaryColor": _GROUP, "tertiaryColor": _GROUP,
    "primaryTextColor": _TEXT, "secondaryTextColor": _TEXT, "tertiaryTextColor": _TEXT, "textColor": _TEXT,
    "nodeTextColor": _TEXT, "titleColor": _TEXT, "primaryBorderColor": _BORDER, "secondaryBorderColor": _BORDER,
    "tertiaryBorderColor": _LINE, "nodeBorder": _BORDER, "clusterBkg": _GROUP, "clusterBorder": _LINE,
    "lineColor": _LINE, "defaultLinkColor": _LINE, "edgeLabelBackground": _PAPER, "labelBoxBkgColor": _FILL,
    "labelBoxBorderColor": _BORDER, "labelTextColor": _TEXT, "loopTextColor": _TEXT, "actorBkg": _FILL,
    "actorBorder": _BORDER, "actorTextColor": _TEXT, "actorLineColor": _LINE, "signalColor": _LINE,
    "signalTextColor": _TEXT, "noteBkgColor": _GROUP, "noteBorderColor": _LINE, "noteTextColor": _TEXT,
    "sequenceNumberColor": _PAPER, "activationBkgColor": _GROUP, "activationBorderColor": _LINE,
    "stateBkg": _FILL, "stateLabelColor": _TEXT, "labelColor": _TEXT, "altBackground": _GROUP,
    "transitionColor": _LINE, "transitionLabelColor": _TEXT, "specialStateColor": _LINE, "innerEndBackground": _LINE,
    "compositeBackground": _PAPER, "compositeTitleBackground": _GROUP, "compositeBorder": _LINE,
}  # fmt: skip
_DRAW: Final = """async ([id, source, theme]) => {
  mermaid.initialize({startOnLoad: false, theme: 'base', themeVariables: theme, htmlLabels: false, look: 'classic',
    securityLevel: 'strict', flowchart: {htmlLabels: false},
    sequence: {mirrorActors: false, wrap: true, width: 110, actorMargin: 64, messageFontSize: 14, actorFontSize: 15}});
  return (await mermaid.render(id, source)).svg;
}"""


class DrawingError(Exception):
    """What is needed for drawing is not there, or Mermaid does not understand a diagram."""


def draw() -> list[str]:
    """Draw the diagrams that have no picture yet, and remove the pictures that belong to none.

    :returns: what was done, in sentences
    :raises DrawingError: npm, Chromium or its driver is missing, or a diagram has a mistake
    """
    texts = [page.text() for page in pages()]
    wanted = [source for text in texts for source in sources(text) if not picture(source).exists()]
    done = _draw_all(wanted) if wanted else []
    for path in unused(iter(texts)):
        path.unlink()
        done.append(f"removed {path.name}")
    return done


def _draw_all(wanted: list[str]) -> list[str]:
    try:
        from playwright.sync_api import Error, sync_playwright  # noqa: PLC0415 - only who draws needs it
    except ImportError:
        raise DrawingError("the driver of Chromium is missing: python3 run.py test installs it") from None
    program = chromium()
    if program is None:
        raise DrawingError("there is no Chromium on the PATH, and CHROMIUM_BIN names none")
    FOLDER.mkdir(exist_ok=True)
    done = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_context(offline=True).new_page()
        page.add_script_tag(path=_library(Path(folder)))
        for source in wanted:
            try:
                drawn = page.evaluate(_DRAW, [f"diagram-{picture(source).stem}", source, _THEME])
            except Error as error:
                raise DrawingError(f"{error.message}\n{source}") from None
            picture(source).write_text(_with_variables(drawn), encoding="utf-8")
            done.append(f"drew {picture(source).name}: {title(source)}")
    return done


def _library(folder: Path) -> Path:
    """Mermaid, as npm has it. It is 2.5 MB, too much for a repository that needs it so rarely."""
    npm = shutil.which("npm")
    if npm is None:
        raise DrawingError("npm is missing: it brings Mermaid")
    subprocess.run([npm, "pack", "--silent", _PACKAGE], cwd=folder, check=True, capture_output=True)
    with tarfile.open(next(folder.glob("*.tgz"))) as package:
        package.extract("package/dist/mermaid.tiny.js", folder, filter="data")
    path = folder / "package" / "dist" / "mermaid.tiny.js"
    if hashlib.sha256(path.read_bytes()).hexdigest() != _SHA256:
        raise DrawingError(f"{_PACKAGE} is not the file that is expected")
    return path


def _with_variables(drawn: str) -> str:
    for colour, name in _COLOURS.items():
        drawn = re.sub(re.escape(colour), f"var({name})", drawn, flags=re.IGNORECASE)
        red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
        drawn = re.sub(rf"rgb\({red}, ?{green}, ?{blue}\)", f"var({name})", drawn)
    return re.sub(r"\s*\n\s*", " ", drawn).strip() + "\n"
