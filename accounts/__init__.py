"""Who may speak: people, passwords, tokens, sessions, blocks.

PostgreSQL is the truth; Redis remembers what is asked often.
"""
