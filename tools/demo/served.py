"""What the ``sanic`` command serves in the demo: the product's own app, with the demo's routes added."""

import sys

from app import app
from tools.demo.place import VARIABLE, our_place
from tools.demo.routes import add_demo

_place = our_place()
if _place is None:
    sys.exit(f"This is the demo, and {VARIABLE} is not set. Start it with: python3 run.py demo")
add_demo(app, _place)
