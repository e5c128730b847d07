"""People, passwords, tokens, login sessions, blocks.

PostgreSQL is the truth. Redis caches what is looked up often.
"""
