import asyncio

import pytest

from server.loop import ServerLoop, ServerLoopPolicy, stop_accepting


async def test_it_stops_accepting_while_connections_live_on() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    stop_accepting()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"still here\n")
    assert await reader.readline() == b"still here\n"
    writer.close()


def test_the_policy_makes_such_loops() -> None:
    loop = ServerLoopPolicy().new_event_loop()
    assert isinstance(loop, ServerLoop)
    loop.close()


def test_on_a_foreign_loop_it_does_nothing() -> None:
    async def main() -> None:
        server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
        stop_accepting()
        assert server.is_serving()
        server.close()

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(main())
