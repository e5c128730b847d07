"""Accepted WebSockets: one class for a socket, the values it owns, and what a worker keeps about all of them."""
