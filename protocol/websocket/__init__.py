"""The WebSocket's frames (RFC 6455) as a server reads and writes them: bytes in, bytes out, nothing that waits."""
