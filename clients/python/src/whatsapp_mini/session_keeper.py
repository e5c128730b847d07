"""The login session: who logs in, refreshes and keeps the tokens (C1–C8)."""

import asyncio
import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any, Final

from whatsapp_mini.errors import ApiError, LoggedOut, StoreMismatch
from whatsapp_mini.http import Http, text_of
from whatsapp_mini.messages import digits
from whatsapp_mini.store import Session, Store

ENDED: Final = ("refresh_invalid", "refresh_reused", "session_revoked", "token_invalid", "token_expired")
"""As the answer to a refresh these end the session (C5)."""
TENTH: Final = 0.1
MOST_SECONDS_BEFORE: Final = 300.0
REFRESH_TIMEOUT: Final = 2.5
"""Three tries of this length and the pause fit into the 10 s for which a replaced refresh token works (C4)."""
LAST_TRY_AFTER: Final = 2.0
LATER_SECONDS: Final = 30.0
"""After a refresh that did not work the next one by itself comes so much later, unless the server says when."""


@dataclass(frozen=True, slots=True)
class Clock:
    """``now``: monotonic seconds; ``wall``: seconds of Unix time, as this machine believes."""

    now: Callable[[], float]
    wall: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class SessionKeeper:
    """Has one session at a time, and refreshes it once however many want it."""

    def __init__(
        self,
        http: Http,
        store: Store,
        clock: Clock,
        mobile_no: str,
        password: str,
        device_id: str | None,
        device_name: str | None,
        rng: Random,
    ) -> None:
        self._http, self._store, self._clock, self._rng = http, store, clock, rng
        self.mobile_no, self._password, self._device_id, self._device_name = mobile_no, password, device_id, device_name
        self.session: Session | None = None
        self.generation = 0
        """Counts log-ins: a socket of an older one is not this session's."""
        self._may_log_in_anew = True
        self._is_loaded = False
        """Whether the store was asked for a session."""
        self._over: LoggedOut | None = None
        """Why there is no session, until a person logs in or the client is started anew."""
        self._refresh_at = self._used_since = 0.0
        self._work: asyncio.Task[Session] | None = None
        self._is_refreshing = False
        self.on_logged_out: Callable[[LoggedOut], None] = lambda _error: None
        """Is told when there is no session any more, and no password that opens one."""
        self.on_new_session: Callable[[], None] = lambda: None
        """Is told when another session takes the place of one that ended."""

    def load(self, session: Session | None, newer_than: float | None = None) -> None:
        """Use the stored session (C1).

        :param newer_than: it was issued after that time, by the monotonic clock
        :raises StoreMismatch: it is another account's, server's or device's
        """
        self._over = None
        if session is None:
            self._is_loaded = True
            return
        self._check("server", session.url, self._http.url)
        self._check("number", session.mobile_no, digits(self.mobile_no))
        self._check("device", session.device_id, self._device_id)
        self._is_loaded = True
        life = _seconds_of_life(session, self._clock.wall())
        # How long ago it was issued only the wall clock could tell, which may be wrong: never more than its life.
        left = max(0.0, _unix(session.expires_at) - self._clock.wall())
        if newer_than is not None:
            left = max(left, life - (self._clock.now() - newer_than))
        self._use(session, life, min(life, left))

    async def token(self) -> str:
        """One that is good, as far as is known. Logs in or refreshes if need be.

        :raises ApiError: it could not be done now
        :raises LoggedOut: there is no session, and no password that opens one
        """
        await self._load_once()
        if self.session is not None and self._clock.now() < self._refresh_at:
            return self.session.token
        try:
            return (await self._once(lambda: self._fresh(self.session))).token
        except ApiError as error:
            if self.session is None or not error.retryable:
                raise
            return self.session.token  # it may be good for some minutes more (C6)

    async def renewed(self, stale: str) -> str:
        """A token in place of one that was refused with ``token_expired``."""
        if self.session is not None and self.session.token != stale:
            return self.session.token
        return (await self._once(lambda: self._fresh(self.session))).token

    async def replaced(self, stale: str, error: ApiError) -> str:
        """A token of a new session: the one of ``stale`` has ended.

        :raises LoggedOut: there is no password, or it was of no use already
        """
        if self.session is not None and self.session.token != stale:
            return self.session.token
        return (await self._once(lambda: self._anew(error))).token

    async def log_in(self, password: str, replace_device_id: str | None = None) -> Session:
        """With a password that a person typed.

        :raises StoreMismatch: the store has another account's session
        """
        await self._load_once()
        self._password = password
        self._may_log_in_anew = True
        self._over = None
        return await self._once(lambda: self._log_in(replace_device_id))

    def password_changed(self, password: str) -> None:
        """Log in anew with the new one, if this client may."""
        if self._password:
            self._password = password

    async def adopt(self, answer: Mapping[str, Any]) -> Session:
        """Tokens that came with another answer: the number was changed."""
        session = self._session_of(answer)
        await self._store.save_session(session)
        self.mobile_no = session.mobile_no
        self.generation += 1
        self._use_fresh(session)
        return session

    def drop(self) -> None:
        """The session has ended: nothing is asked with it any more (C5). :meth:`forget` removes it from the store."""
        self.session = None
        self._over = LoggedOut("logged_out", "The session has ended.")

    async def forget(self) -> None:
        """The session has ended (C5)."""
        self.drop()
        await self._store.save_session(None)

    async def end(self) -> None:
        """This client ended its own session: it does not log in by itself again."""
        await self.forget()
        self._over = LoggedOut("logged_out", "This client logged out.")
        self.on_logged_out(self._over)

    def is_good(self) -> None:
        """The server took this session: when it ends, one may log in anew (once)."""
        self._may_log_in_anew = True

    def refresh_in(self) -> float | None:
        """Seconds until the session is to be refreshed."""
        return None if self.session is None else max(0.0, self._refresh_at - self._clock.now())

    def later(self, retry_after: float | None) -> None:
        """A refresh did not work: not again at once (C6)."""
        self._refresh_at = self._clock.now() + (retry_after or LATER_SECONDS) + self._rng.uniform(0, 1)

    async def settle(self) -> None:
        """Until no refresh is on its way, which may take ten seconds. A log-in is given up: it can be begun anew."""
        if self._work is not None:
            if not self._is_refreshing:
                self._work.cancel()
            await asyncio.wait([self._work])

    async def _load_once(self) -> None:
        """A route may be asked before the client is started: it uses the stored session, too (C1)."""
        if not self._is_loaded:
            self.load((await self._store.load()).session)

    # ---- one at a time

    async def _once(self, begin: Callable[[], Awaitable[Session]]) -> Session:
        """The result of what is on its way, or of what begins now. It goes on when a caller is cancelled: new tokens
        that were not kept would be lost, and the old ones count as stolen."""
        if self._work is None:
            self._work = asyncio.ensure_future(begin())
            self._work.add_done_callback(self._is_done)
        work = self._work
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            if work.cancelled() and not _is_cancelled():
                raise ApiError(0, "unreachable", "The client was stopped before the server answered.") from None
            raise

    def _is_done(self, work: "asyncio.Task[Session]") -> None:
        self._work = None
        error = None if work.cancelled() else work.exception()
        if isinstance(error, LoggedOut):
            self.on_logged_out(error)

    async def _fresh(self, session: Session | None) -> Session:
        if self._over is not None:
            raise LoggedOut(self._over.code, self._over.reason)
        if session is None:
            return await self._log_in(None)
        self._is_refreshing = True
        try:
            return await self._store.locked(lambda: self._refresh(session))
        finally:
            self._is_refreshing = False

    async def _refresh(self, session: Session) -> Session:
        kept = (await self._store.load()).session
        if kept is not None and kept.refresh_token != session.refresh_token:
            self.load(kept, self._used_since)
            return kept
        try:
            fresh = await self._ask_for_refresh(session.refresh_token)
        except ApiError as error:
            if error.code in ENDED:
                return await self._anew(error)
            self.later(error.retry_after)
            raise
        return await self._keep(fresh)

    async def _ask_for_refresh(self, refresh_token: str) -> Session:
        for pause in (0.0, LAST_TRY_AFTER, None):
            try:
                body = {"refreshToken": refresh_token}
                answer = await self._http.request("POST", "/auth/refresh", json=body, timeout=REFRESH_TIMEOUT)
                return self._session_of(answer)
            except ApiError as error:
                if error.status or pause is None:
                    raise
                await self._clock.sleep(pause)
        raise AssertionError("unreachable")

    async def _anew(self, error: ApiError) -> Session:
        await self.forget()
        if not self._password or not self._may_log_in_anew:
            self._over = LoggedOut(error.code, error.message)
            raise self._over
        self._may_log_in_anew = False
        self._over = None
        session = await self._log_in(None)
        self.on_new_session()
        return session

    async def _log_in(self, replace_device_id: str | None) -> Session:
        if not self._password:
            raise LoggedOut("token_missing", "There is no session, and no password was given.")
        body = {
            "mobileNo": self.mobile_no,
            "password": self._password,
            "deviceId": self._device_id,
            "deviceName": self._device_name,
            "replaceDeviceId": replace_device_id,
        }
        try:
            given = {name: value for name, value in body.items() if value is not None}
            session = self._session_of(await self._http.request("POST", "/auth/login", json=given))
        except ApiError as error:
            if error.retryable or error.code == "too_many_devices":
                raise
            raise LoggedOut(error.code, error.message) from None
        self.generation += 1
        return await self._keep(session)

    async def _keep(self, session: Session) -> Session:
        await self._store.save_session(session)
        self._use_fresh(session)
        return session

    def _session_of(self, answer: Mapping[str, Any]) -> Session:
        return Session(
            url=self._http.url,
            mobile_no=text_of(answer, "mobileNo"),
            id=text_of(answer, "id"),
            name=text_of(answer, "name"),
            device_id=text_of(answer, "deviceId"),
            token=text_of(answer, "token"),
            expires_at=text_of(answer, "expiresAt"),
            refresh_token=text_of(answer, "refreshToken"),
            refresh_expires_at=text_of(answer, "refreshExpiresAt"),
        )

    def _use_fresh(self, session: Session) -> None:
        life = _seconds_of_life(session, self._clock.wall())
        self._use(session, life, life)

    def _use(self, session: Session, life: float, left: float) -> None:
        self.session = session
        self._device_id = session.device_id
        self._used_since = self._clock.now()
        self._refresh_at = self._used_since + left - min(MOST_SECONDS_BEFORE, life * TENTH)

    @staticmethod
    def _check(what: str, stored: str, given: str | None) -> None:
        if given and stored != given:
            raise StoreMismatch(
                f"The store belongs to another {what}: {stored}, and the client is for {given}."
                " Each account, server and device needs a store of its own."
            )


def _seconds_of_life(session: Session, wall: float) -> float:
    """From the moment when the token was issued, by the server's clock (C8)."""
    try:
        payload = session.token.split(".")[1]
        issued = float(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["iat"])
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        issued = wall  # a server whose tokens say nothing: there is only this machine's clock
    return max(0.0, _unix(session.expires_at) - issued)


def _is_cancelled() -> bool:
    """Whether somebody wants the current task to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _unix(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
