import inspect

from server.socket import Listener, Socket
from server.stock_socket import StockSocket
from tests.server.support import Echo


def shape(kind: type, name: str) -> object:
    member = inspect.getattr_static(kind, name)
    if isinstance(member, property):
        return "property"
    return list(inspect.signature(member).parameters), inspect.iscoroutinefunction(member)


def test_both_sides_of_the_seam_have_its_shape() -> None:
    for seam, side in ((Socket, StockSocket), (Listener, Echo)):
        names = [name for name in vars(seam) if not name.startswith("_")]
        assert len(names) == 5
        for name in names:
            assert shape(side, name) == shape(seam, name), name
