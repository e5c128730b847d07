"""What the servers we run ourselves have in common: a child that is there or not."""

from typing import ClassVar

from tools.devstack.process import Child


class Server:
    """Stop, kill and start again at will; how one starts is its own business."""

    name: ClassVar[str]
    stop_seconds: ClassVar[float] = 5.0
    child: Child | None = None

    def running(self) -> Child:
        """The child.

        :raises RuntimeError: when never started
        """
        if self.child is None:
            raise RuntimeError(f"{self.name} was not started")
        return self.child

    @property
    def pid(self) -> int:
        """Of the server; of PostgreSQL its postmaster."""
        return self.running().pid

    def stop(self) -> None:
        """In peace: what has to be written is, and the socket is removed."""
        if self.child:
            self.child.stop(self.stop_seconds)

    def kill(self) -> None:
        """kill -9; what it started ends when it notices, and the next start recovers."""
        self.running().kill()
