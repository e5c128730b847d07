"""One client connection: a pure state machine (session.py) and the shell that runs its effects (connection.py)."""
