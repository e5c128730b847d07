"""Asking the network of this machine: does it answer, is it free?"""

import http.client
import socket
from urllib.parse import urlsplit


def http_status(url: str, seconds: float = 5.0) -> int:
    """The status of a GET; 0 when nobody answers."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


class CannotListenError(Exception):
    """The address to listen on is none of this machine's."""


def require_address(host: str) -> None:
    """Find out before anything is started.

    :raises CannotListenError: naming the address and the reason
    """
    try:
        free_port(host)
    except (OSError, UnicodeError) as error:  # a name may also be one that cannot be looked up at all
        why = getattr(error, "strerror", None) or "it is no name of a machine"
        raise CannotListenError(
            f"Cannot listen on {host}: {why}. --host takes an address of this machine, or 0.0.0.0 for all of them."
        ) from None


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
