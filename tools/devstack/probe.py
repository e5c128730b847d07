"""Asking the network of this machine: does it answer, is it free?"""

import http.client
import random
import socket
from collections import deque
from urllib.parse import urlsplit

PORTS = 20_000, 22_700  # a node of a Redis cluster also listens on the port 10,000 higher
RESERVED = 64
_random = random.SystemRandom()  # a seed set by a test must not lead two of them to the same port
_reservations = deque[socket.socket]()


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
    with socket.socket(_family(host)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on, and that neither the kernel nor this function gives to anybody else for now.

    It is below those that kernels hand out by themselves (32768 and up): by the time our server listens, a connection
    of some other process could have one of them. It stays reserved until this process has asked for ``RESERVED`` more
    or ends: servers that several processes start at once take seconds until they listen.

    :raises OSError: when this machine cannot listen on ``host`` at all
    """
    with socket.socket(_family(host)) as probe:
        probe.bind((host, 0))
    ports = iter(lambda: _random.randint(*PORTS), 0)
    return next(port for port in ports if port_is_free(host, port) and _reserve(host, port))


def _reserve(host: str, port: int) -> bool:
    """With the UDP port of the same number, which none of our servers uses and only one process can have."""
    reservation = socket.socket(_family(host), socket.SOCK_DGRAM)
    try:
        reservation.bind((host, port))
    except OSError:
        reservation.close()
        return False
    _reservations.append(reservation)
    if len(_reservations) > RESERVED:
        _reservations.popleft().close()
    return True


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
