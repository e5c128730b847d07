"""Every route of HTTP as a method (section 2 of ``docs/PROTOCOL.md``), with the session refreshed where need be."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from whatsapp_mini.answers import (
    Audience,
    BlockedPerson,
    Device,
    Found,
    FoundPerson,
    LastSeen,
    LoginSession,
    Privacy,
    Profile,
    SecurityEvent,
    Switch,
    read,
)
from whatsapp_mini.errors import ApiError
from whatsapp_mini.http import Http, text_of
from whatsapp_mini.session_keeper import SessionKeeper
from whatsapp_mini.store import Session


class Api:
    """All methods raise :class:`ApiError`; those that need a session also :class:`LoggedOut`."""

    def __init__(self, http: Http, keeper: SessionKeeper) -> None:
        self._http, self._keeper = http, keeper

    # ---- without a session

    async def sign_up(self, name: str, mobile_no: str, password: str, code: str | None = None) -> str:
        """A new account; its id. ``code`` is needed where the server sends codes."""
        body = _given(name=name, mobileNo=mobile_no, password=password, code=code)
        return str((await self._http.request("POST", "/auth/signin", json=body))["id"])

    async def request_code(self, mobile_no: str) -> int:
        """Send a code to this number; seconds for which it is valid."""
        return int((await self._http.request("POST", "/v1/codes", json={"mobileNo": mobile_no}))["expiresIn"])

    async def reset_password(self, mobile_no: str, code: str, new_password: str) -> None:
        """A new password in place of a forgotten one. All sessions end."""
        body = {"mobileNo": mobile_no, "code": code, "newPassword": new_password}
        await self._http.request("POST", "/auth/reset", json=body)

    async def log_in(self, password: str, replace_device_id: str | None = None) -> Session:
        """Begin a session for this client's number and device, and keep it.

        :param replace_device_id: unlink this device, if there are too many
        """
        return await self._keeper.log_in(password, replace_device_id)

    # ---- oneself

    async def me(self) -> Profile:
        """One's own profile."""
        return read(Profile, await self._ask("GET", "/v1/me"))

    async def update_me(self, name: str | None = None, about: str | None = None) -> Profile:
        """Change what is given."""
        return read(Profile, await self._ask("PATCH", "/v1/me", json=_given(name=name, about=about)))

    async def change_number(self, mobile_no: str, password: str, code: str | None = None) -> Session:
        """Move the account to another number. This client goes on with the new one."""
        body = _given(mobileNo=mobile_no, password=password, code=code)
        return await self._keeper.adopt(await self._ask("POST", "/v1/me/number", json=body))

    async def delete_account(self, password: str) -> None:
        """End the account, and everything that is held about the person."""
        await self._ask("DELETE", "/v1/me", json={"password": password})
        await self._keeper.end()

    async def export_all(self) -> dict[str, Any]:
        """Everything that is held about the person, as the server says it."""
        return await self._ask("GET", "/v1/export")

    # ---- devices and sessions

    async def devices(self) -> list[Device]:
        """The linked devices, the last used first."""
        return [read(Device, line) for line in (await self._ask("GET", "/v1/devices"))["data"]]

    async def unlink_device(self, device_id: str) -> None:
        """End a device's sessions, and forget what waits for it alone."""
        await self._ask("DELETE", f"/v1/devices/{quote(device_id, safe='')}")

    async def sessions(self) -> list[LoginSession]:
        """The sessions that live, the last used first."""
        return [read(LoginSession, line) for line in (await self._ask("GET", "/v1/sessions"))["data"]]

    async def end_session(self, session_id: str) -> None:
        """End one of them."""
        await self._ask("DELETE", f"/v1/sessions/{quote(session_id, safe='')}")

    async def security_events(self, before: str | None = None, limit: int | None = None) -> list[SecurityEvent]:
        """What happened to the account, the latest first; ``before`` is an event's id."""
        query = _given(before=before, limit=None if limit is None else str(limit))
        return [read(SecurityEvent, line) for line in (await self._ask("GET", "/v1/events", query=query))["data"]]

    async def log_out(self) -> None:
        """End this session: the client is ``loggedOut``."""
        await self._ask("POST", "/auth/logout")
        await self._keeper.end()

    async def log_out_everywhere(self, include_this: bool = False) -> int:
        """End all other sessions, or all; how many ended."""
        query = {"all": "true"} if include_this else {}
        ended = int((await self._ask("POST", "/auth/logout-everywhere", query=query))["ended"])
        if include_this:
            await self._keeper.end()
        return ended

    async def change_password(self, current_password: str, new_password: str) -> None:
        """All other sessions end."""
        body = {"currentPassword": current_password, "newPassword": new_password}
        await self._ask("POST", "/auth/password", json=body)
        self._keeper.password_changed(new_password)

    # ---- others

    async def block(self, mobile_no: str) -> None:
        """Their chats do not come any more."""
        await self._ask("POST", "/block-action/block", json={"blockedUserMobileNo": mobile_no})

    async def unblock(self, mobile_no: str) -> None:
        """They come again from now on."""
        await self._ask("DELETE", "/block-action/unblock", query={"mobileNo": mobile_no})

    async def blocked(self) -> list[BlockedPerson]:
        """Whom one blocks, the latest last."""
        return [read(BlockedPerson, line) for line in (await self._ask("GET", "/block-action/list"))["data"]]

    async def last_seen(self, mobile_no: str) -> LastSeen:
        """When somebody was last online."""
        return read(LastSeen, (await self._ask("GET", "/profile/lastseen", query={"mobileNo": mobile_no}))["data"])

    async def lookup(self, mobile_nos: Sequence[str]) -> Found:
        """Who of these, at most 100, has an account."""
        answer = await self._ask("POST", "/v1/people/lookup", json={"mobileNos": list(mobile_nos)})
        return Found([read(FoundPerson, line) for line in answer["data"]], answer.get("errors", []))

    async def privacy(self) -> Privacy:
        """Who may see what."""
        return read(Privacy, (await self._ask("GET", "/v1/privacy"))["data"])

    async def set_privacy(
        self,
        last_seen: Audience | None = None,
        online: Audience | None = None,
        read_receipts: Switch | None = None,
        stranger_receipts: Switch | None = None,
    ) -> Privacy:
        """Change what is given; all four as they are now."""
        body = _given(lastSeen=last_seen, online=online, readReceipts=read_receipts, strangerReceipts=stranger_receipts)
        return read(Privacy, (await self._ask("PUT", "/v1/privacy", json=body))["data"])

    async def ticket(self) -> str:
        """A secret that opens one socket, once."""
        return text_of(await self._ask("POST", "/v1/tickets"), "ticket")

    async def _ask(self, method: str, path: str, **how: Any) -> dict[str, Any]:
        """With a token; and once more with another one, if it is refused (C2, C5)."""
        token = await self._keeper.token()
        try:
            return await self._http.request(method, path, token=token, **how)
        except ApiError as error:
            if error.code == "token_expired":
                token = await self._keeper.renewed(token)
            elif error.code in ("session_revoked", "token_invalid"):
                token = await self._keeper.replaced(token, error)
            else:
                raise
        return await self._http.request(method, path, token=token, **how)


def _given(**fields: str | None) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
