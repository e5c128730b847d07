import inspect

import pytest

from delivery.session.connection import Connection
from protocol.websocket.interface import Socket, SocketHandler
from server.websocket.accepted_socket import AcceptedSocket
from tests.server.support import Echo


def shape(kind: type, name: str) -> object:
    member = inspect.getattr_static(kind, name)
    if isinstance(member, property):
        return "property"
    return list(inspect.signature(member).parameters), inspect.iscoroutinefunction(member)


@pytest.mark.parametrize(
    ("interface", "implementation", "count"),
    [(Socket, AcceptedSocket, 9), (SocketHandler, Connection, 7), (SocketHandler, Echo, 7)],
)
def test_each_side_has_the_shape_of_its_interface(interface: type, implementation: type, count: int) -> None:
    names = [name for name in vars(interface) if not name.startswith("_")]
    assert len(names) == count
    for name in names:
        assert shape(implementation, name) == shape(interface, name), name
