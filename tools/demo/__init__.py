"""Two phones on one page, and buttons that break things while they talk. Not the product: it wraps the product's app.

``python3 run.py demo`` starts it; docs/demo.md says what is seen, what is real and what is simulated.
"""
