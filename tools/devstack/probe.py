"""Asking the network of this machine: does it answer, is it free?"""

import http.client
import random
import socket
from urllib.parse import urlsplit

PORTS = 20_000, 22_700  # a node of a Redis cluster also listens on the port 10,000 higher
_random = random.SystemRandom()  # a seed set by a test must not lead two of them to the same port


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
    """A port that nobody listened on a moment ago, and that the kernel gives to nobody meanwhile.

    It is below those that kernels hand out by themselves (32768 and up): by the time our server listens, a connection
    of some other process could have one of them.

    :raises OSError: when this machine cannot listen on ``host`` at all
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
    return next(port for port in iter(lambda: _random.randint(*PORTS), 0) if port_is_free(host, port))
