"""Breaks the running product while people talk, and checks that nothing is lost: ``run.py chaos``; see README.md."""
