"""What Sanic is made of here: the Sanic subclass, the WebSocket adapter, heartbeat, watchdog, drain."""
