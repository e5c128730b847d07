"""What the server says of people: their names, who has a number, who is blocked. What it says is kept in the book."""

from collections.abc import Sequence

from whatsapp_mini import ApiError, Client, Ended
from whatsapp_mini.terminal import usage, words
from whatsapp_mini.terminal.book import Book


class PeopleError(Exception):
    """Why it could not be done, in a sentence."""


class People:
    """Asks, and keeps the answers."""

    def __init__(self, client: Client, book: Book) -> None:
        self._client, self._book = client, book

    async def find(self, text: str) -> tuple[str, str]:
        """Somebody by their number as it was typed; their number and name.

        While the server cannot be reached, the number is taken as it is.

        :raises PeopleError: nobody has it, or it is one's own
        """
        try:
            found = await self._client.api.lookup([text])
        except (ApiError, Ended) as error:
            if not (isinstance(error, ApiError) and error.code == "unreachable"):
                raise PeopleError(words.why(error)) from None
            peer, name = usage.number(text), ""
        else:
            if not found.people:
                why = found.errors[0]["message"] if found.errors else f"Nobody has the number {text}."
                raise PeopleError(why)
            peer, name = found.people[0].mobile_no, found.people[0].name
            self._book.keep_name(peer, name)
        if peer == self._client.mobile_no:
            raise PeopleError("That is your own number.")
        return peer, name

    async def names(self, peers: Sequence[str]) -> dict[str, str]:
        """Of those who have an account. A number is shown instead of a name that cannot be had now."""
        found: dict[str, str] = {}
        try:
            for place in range(0, len(peers), 100):
                answer = await self._client.api.lookup(peers[place : place + 100])
                found |= {person.mobile_no: person.name for person in answer.people}
        except (ApiError, Ended):
            pass  # asked again when they write, or at the next connection
        for peer, name in found.items():
            self._book.keep_name(peer, name)
        return found

    async def blocked(self) -> set[str] | None:
        """Who is blocked; None while it cannot be had."""
        try:
            blocked = {person.mobile_no for person in await self._client.api.blocked()}
        except (ApiError, Ended):
            return None
        self._book.keep_blocked(blocked)
        return blocked

    async def block(self, peer: str, *, block: bool) -> None:
        """Block or unblock.

        :raises PeopleError: it could not be done
        """
        try:
            await (self._client.api.block if block else self._client.api.unblock)(peer)
        except (ApiError, Ended) as error:
            raise PeopleError(words.why(error)) from None
        self._book.keep_block(peer, block=block)
