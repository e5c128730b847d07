"""The public benchmark: what the product does in a second, what that costs, and that nothing was lost on the way.

``python3 run.py bench``; see tools/bench/README.md. It measures from outside, over sockets; nothing imports it.
"""
