"""Sanic as this product uses it: the Sanic subclass, strict HTTP, the two ways to a WebSocket, drain, watchdog."""
