import inspect

from server.client_socket import ClientSocket
from server.socket import Listener, Socket
from tests.server.support import Echo


def shape(kind: type, name: str) -> object:
    member = inspect.getattr_static(kind, name)
    if isinstance(member, property):
        return "property"
    return list(inspect.signature(member).parameters), inspect.iscoroutinefunction(member)


def test_both_sides_of_the_seam_have_its_shape() -> None:
    for seam, side, count in ((Socket, ClientSocket, 9), (Listener, Echo, 7)):
        names = [name for name in vars(seam) if not name.startswith("_")]
        assert len(names) == count
        for name in names:
            assert shape(side, name) == shape(seam, name), name
