"""Builds the documentation site from the files of this repository: ``run.py docs``; see docs/decisions/0037."""
