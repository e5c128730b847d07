"""What routes answer, as typed structs: what is sent is what ``GET /openapi.json`` describes.

Fields are sent in the order written here, and all of them, but for those that are ``UNSET``.
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Struct, UnsetType

from handlers.requests import Audience, Switch
from protocol.fields import DeviceId, Id, Mobile, Moment, described
from protocol.privacy import Privacy


class Answer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A success. ``message`` is for people and may be reworded."""

    success: Literal[True] = True


class Done(Answer, frozen=True, kw_only=True):
    """It is done; there is nothing more to say."""

    message: Annotated[str, described("For people; it may be reworded.", "logout successful")]


# ---- accounts


class SignedUp(Answer, frozen=True, kw_only=True):
    """The account exists now."""

    message: str = "account created successfully"
    id: Id


class LoggedIn(Answer, frozen=True, kw_only=True):
    """A session was opened for this device, or goes on. ``expiresAt`` is when the token ends."""

    message: str = "login successful"
    token: Annotated[str, described("For Authorization: Bearer. Opaque to clients.", "eyJhbGciOiJIUzI1NiJ9.e30.x")]
    expires_at: Moment
    id: Id
    name: Annotated[str, described("As it is stored: in NFC.", "Asha")]
    mobile_no: Mobile
    device_id: DeviceId
    refresh_token: Annotated[str, described("For POST /auth/refresh, once. Opaque to clients.", "wmr_…")]
    refresh_expires_at: Moment


class LoggedOut(Done, frozen=True, kw_only=True):
    """Sessions ended."""

    ended: Annotated[int, described("How many sessions ended by this.", 2, minimum=0)]


class SessionLine(Struct, frozen=True, kw_only=True, rename="camel"):
    """A session that lives."""

    id: Id
    device_id: DeviceId
    device_name: Annotated[str, described("The one given at its log-in; may be empty.", "Asha's phone")]
    created_at: Moment
    last_used_at: Moment
    current: Annotated[bool, described("Whether it is the session that asks.", True)]


class SessionList(Answer, frozen=True, kw_only=True):
    """The sessions that live, the last used first."""

    data: list[SessionLine]


class LinkedDevice(Struct, frozen=True, kw_only=True, rename="camel"):
    """A device that counts. ``lastSeen`` is when it last connected, logged in or refreshed."""

    device_id: DeviceId
    device_name: Annotated[str, described("The one given at its latest log-in; may be empty.", "Asha's phone")]
    last_seen: Moment | Literal["online"]


class DeviceLine(LinkedDevice, frozen=True, kw_only=True):
    """A device, and what waits for it."""

    waiting: Annotated[int, described("Chats and receipts that it has not acknowledged.", 3, minimum=0)]
    current: Annotated[bool, described("Whether it is the device that asks.", True)]


class DeviceList(Answer, frozen=True, kw_only=True):
    """The linked devices, the last used first."""

    data: list[DeviceLine]


class EventLine(Struct, frozen=True, kw_only=True, rename="camel"):
    """Something that happened to the account, or several like it in a minute."""

    id: Annotated[str, described("For ?before=. Larger for what was written later.", "4711", pattern="^[0-9]{1,19}$")]
    kind: Annotated[str, described("More kinds may be added.", "login")]
    at: Moment
    device_id: Annotated[str, described("May be empty; of a failed log-in, what was given.", "primary")]
    session_id: Id | UnsetType = UNSET
    reason: Annotated[str, described("Why a log-in failed or a connection ended.", "credentials_wrong")] | UnsetType = (
        UNSET
    )
    times: Annotated[int, described("How many events it stands for.", 1, minimum=1)]


class EventList(Answer, frozen=True, kw_only=True):
    """The person's own events, the latest first."""

    data: list[EventLine]


class CodeSent(Answer, frozen=True, kw_only=True):
    """A code is on its way, whether the number has an account or not."""

    message: str = "code sent"
    expires_in: Annotated[int, described("Seconds for which it is valid.", 600)]


class Ticket(Answer, frozen=True, kw_only=True):
    """A secret that opens one socket, once."""

    message: str = "ticket issued"
    ticket: Annotated[str, described("For ?ticket= of the WebSocket's address.", "3q2-7wAAvu8")]
    expires_in: Annotated[int, described("Seconds.", 30)]


# ---- people

About = Annotated[str, described("What the person says of themselves.", "At the sea")]


class NamedPerson(Struct, frozen=True, kw_only=True, rename="camel"):
    """A person and their number."""

    username: Annotated[str, described("The person's name.", "Asha")]
    mobile_no: Mobile


class SeenPerson(NamedPerson, frozen=True, kw_only=True):
    """A person, and when they were last online."""

    last_seen: Moment | Literal["online"] | UnsetType = UNSET


class BlockList(Answer, frozen=True, kw_only=True):
    """The blocked people, the latest last."""

    data: list[NamedPerson]


class LastSeen(Answer, frozen=True, kw_only=True):
    """``lastSeen`` is absent when the person was never online, or hides it. Somebody whom they blocked is told what was
    so at that moment."""

    data: SeenPerson


class FoundPerson(Struct, frozen=True, kw_only=True, rename="camel"):
    """A person of an address book. ``about`` is absent when it is empty."""

    index: Annotated[int, described("The first place in mobileNos that means this number.", 0, minimum=0)]
    mobile_no: Mobile
    name: Annotated[str, described("The person's name.", "Asha")]
    about: About | UnsetType = UNSET


class FoundPeople(Answer, frozen=True, kw_only=True):
    """Those who have an account, in the order asked; and what is wrong with numbers that cannot be read."""

    data: list[FoundPerson]
    errors: "list[FieldError] | UnsetType" = UNSET


class OwnProfile(Answer, frozen=True, kw_only=True, rename="camel"):
    """A person as they see themselves."""

    id: Id
    name: Annotated[str, described("As it is stored: in NFC.", "Asha")]
    about: About
    mobile_no: Mobile
    device_id: DeviceId
    created_at: Moment


class PrivacyShown(Struct, frozen=True, kw_only=True, rename="camel"):
    """Who may see what, and which receipts are told."""

    last_seen: Audience
    online: Audience
    read_receipts: Switch
    stranger_receipts: Switch


def privacy_shown(privacy: Privacy) -> PrivacyShown:
    """As a client gets it."""
    return PrivacyShown(
        last_seen=privacy.last_seen,
        online=privacy.online,
        read_receipts="on" if privacy.read_receipts else "off",
        stranger_receipts="on" if privacy.stranger_receipts else "off",
    )


class PrivacyAnswer(Answer, frozen=True, kw_only=True):
    """All four settings."""

    data: PrivacyShown


# ---- everything that is held about a person


class HeldProfile(Struct, frozen=True, kw_only=True, rename="camel"):
    """``mobileSince`` is absent for a person who never changed their number."""

    id: Id
    name: Annotated[str, described("The person's name.", "Asha")]
    about: About
    mobile_no: Mobile
    created_at: Moment
    mobile_since: Moment | UnsetType = UNSET


class HeldPresence(Struct, frozen=True, kw_only=True, rename="camel"):
    """``lastSeenBefore`` is kept of connections whose events were deleted."""

    last_seen: Moment | UnsetType = UNSET
    last_seen_before: Moment | UnsetType = UNSET


class DeviceMoment(Struct, frozen=True, kw_only=True, rename="camel"):
    """A device and a time."""

    device_id: DeviceId
    at: Moment


class HeldSession(Struct, frozen=True, kw_only=True, rename="camel"):
    """A session, also one that has ended, without its secrets."""

    id: Id
    device_id: DeviceId
    device_name: str
    created_at: Moment
    expires_at: Moment
    last_used_at: Moment | UnsetType = UNSET
    refreshed_at: Moment | UnsetType = UNSET
    ended_at: Moment | UnsetType = UNSET


class HeldBlock(Struct, frozen=True, kw_only=True, rename="camel"):
    """Somebody whom the person blocks."""

    mobile_no: Mobile
    name: Annotated[str, described("Their name.", "Asha")]
    since: Moment


class LoginPlace(Struct, frozen=True):
    """A device at an address from which the person logged in lately; only a digest of both is kept."""

    digest: str
    at: Moment


class Export(Answer, frozen=True, kw_only=True):
    """Everything that is held about the person. It is sent in parts: an answer that breaks off is no JSON."""

    exported_at: Moment
    profile: HeldProfile
    privacy: PrivacyShown
    presence: HeldPresence
    connections: Annotated[list[DeviceMoment], described("Open connections, with their last sign of life.")]
    devices: Annotated[list[DeviceMoment], described("Devices that receive, with their last connection.")]
    sessions: list[HeldSession]
    blocks: list[HeldBlock]
    contacts: Annotated[list[Mobile], described("Whom the person wrote to in the last 180 days.")]
    unanswered: Annotated[list[Mobile], described("Who wrote to the person in the last 30 days and got no answer.")]
    login_places: list[LoginPlace]
    waiting: Annotated[list[dict[str, Any]], described("What waits in the mailbox: chats with their texts, receipts.")]
    events: Annotated[list[EventLine], described("As of GET /v1/events, the latest first.")]


# ---- health


class Healthy(Answer, frozen=True, kw_only=True):
    """This process serves."""

    status: Literal["ok"] = "ok"


class Ready(Healthy, frozen=True, kw_only=True):
    """This server can do its work."""

    checks: Annotated[dict[str, bool], described("What it depends on, and whether that works.", {"redis": True})]
    detail: Annotated[str, described("What is wrong, in words.")] | UnsetType = UNSET


# ---- errors


class FieldError(Struct, frozen=True):
    """What is wrong with one field. It never repeats what was submitted."""

    field: Annotated[str, described("The field's name.", "mobileNo")]
    message: Annotated[str, described("A sentence for people.", "mobileNo is missing")]


class Problem(Struct, frozen=True, kw_only=True, rename="camel"):
    """The body of every error: the original's ``success`` and ``message``, and RFC 9457."""

    success: Literal[False] = False
    message: Annotated[str, described("A sentence for people; it may be reworded.")]
    type: Annotated[str, described("A URN that ends with the code.", pattern="^urn:whatsapp-mini:[a-z_]+$")]
    title: str
    status: int
    code: Annotated[str, described("Clients may rely on it for ever.", pattern="^[a-z_]+$")]
    errors: list[FieldError] | UnsetType = UNSET
    retry_after: Annotated[float, described("Seconds to wait; it may have a fraction.", minimum=0)] | UnsetType = UNSET


class TooManyDevices(Problem, frozen=True, kw_only=True):
    """With ``too_many_devices``, the devices of which one may be replaced (``replaceDeviceId``)."""

    devices: list[LinkedDevice] | UnsetType = UNSET


class NotReady(Problem, frozen=True, kw_only=True):
    """``unavailable``, with what does not work."""

    checks: Annotated[dict[str, bool], described("What it depends on, and whether that works.", {"redis": False})]
    detail: Annotated[str, described("What is wrong, in words.")]
