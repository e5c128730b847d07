"""Opening an account: with the session that is kept, by logging in, or by signing up. It knows no screens."""

from contextlib import AsyncExitStack
from dataclasses import dataclass

from whatsapp_mini import ApiError, Client, LoggedOut, MemoryStore
from whatsapp_mini.store import Store
from whatsapp_mini.terminal import usage
from whatsapp_mini.terminal.accounts import Account, Accounts, device_name, full_url


@dataclass(frozen=True, slots=True)
class Entrance:
    """An account that is open, and its client, which is not started. ``name`` is the person's own."""

    account: Account
    client: Client
    name: str


class Entering:
    """Opens one account. What it holds is let go when ``stack`` ends.

    :param device: "" is the usual device of this machine
    """

    def __init__(self, accounts: Accounts, device: str, stack: AsyncExitStack) -> None:
        self._accounts, self._device, self._stack = accounts, device, stack

    async def open_stored(self, url: str, mobile: str) -> Entrance:
        """With the session that is kept.

        :raises LoggedOut: there is none
        :raises AccountBusyError: another process has the account open
        """
        account = self._accounts.account(url, mobile, self._device)
        store = account.store()
        session = (await store.load()).session
        if session is None:
            await store.close()
            raise LoggedOut("token_missing", "Log in again.")
        self._stack.enter_context(account.opened())
        return Entrance(account, self._client(account.url, account.mobile, store), session.name)

    async def log_in(self, url: str, number: str, password: str, replace: str = "") -> Entrance:
        """With a password, which is not kept.

        :param replace: a device that gives its place to this one
        :raises ApiError: refused for now, or ``too_many_devices``
        :raises LoggedOut: refused
        :raises AccountBusyError: another process has the account open
        """
        # The server knows numbers that are written as at home; the file's name is the number that it says.
        client = self._client(full_url(url), usage.number(number) or number, MemoryStore())
        try:
            session = await client.api.log_in(password, replace or None)
        finally:
            await client.stop(0)
        account = self._accounts.account(session.url, session.mobile_no, self._device)
        self._stack.enter_context(account.opened())
        store = account.store()
        await store.save_session(session)
        return Entrance(account, self._client(account.url, account.mobile, store), session.name)

    async def sign_up(self, url: str, number: str, password: str, name: str, code: str) -> Entrance:
        """A new account, and log in to it.

        :raises ApiError: refused; ``code_missing``: a code was sent to the number just now
        """
        client = self._client(full_url(url), number, MemoryStore())
        try:
            await client.api.sign_up(name, number, password, code or None)
        except ApiError as refused:
            if refused.code == "code_missing":
                await client.api.request_code(number)
            raise
        finally:
            await client.stop(0)
        return await self.log_in(url, number, password)

    async def name(self, account: Account) -> str:
        """The name that the person of a known account had at the last log-in."""
        store = account.store()
        try:
            session = (await store.load()).session
        finally:
            await store.close()
        return session.name if session else ""

    def _client(self, url: str, mobile: str, store: Store) -> Client:
        device_id = self._accounts.device_id(self._device)
        return Client(url, mobile, store=store, device_id=device_id, device_name=device_name())
