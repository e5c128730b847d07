"""``python -m tools.docs``: builds the site into ``.site``."""

import argparse
import signal
import sys
import time

from tools.devstack.options import whole
from tools.docs import drawing
from tools.docs.links import PageError
from tools.docs.site import SITE, SiteError, build, serve

_DESCRIPTION = "Build the documentation site into .site. A warning is a failure."


def main(arguments: list[str]) -> int:
    """Run one command; its exit code."""
    parser = argparse.ArgumentParser(prog="run.py docs", description=_DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--serve", action="store_true", help="show it, and what changes while it is shown")
    parser.add_argument(
        "--port",
        type=whole(1, 65535),
        default=8000,
        help="for --serve (default 8000; the next free one if it is taken)",
    )
    parser.add_argument("--draw", action="store_true", help="draw the diagrams that changed (needs npm and Chromium)")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the preview ends, too
    try:
        if options.draw:
            print("\n".join(drawing.draw()) or "No diagram has changed.")
        elif options.serve:
            serve(options.port)
        else:
            began = time.monotonic()
            pages = build()
            print(f"{pages} pages in {SITE} ({time.monotonic() - began:.1f} s). To look at it: run.py docs --serve")
    except (SiteError, PageError, drawing.DrawingError) as error:
        print(f"run.py docs: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
