"""Deterministic simulation: the real sessions of fifty people, and a world of plain Python around them."""
