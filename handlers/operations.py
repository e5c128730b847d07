"""What each route takes and answers, for machines: one entry for each row of the table of routes.

``GET /openapi.json`` is made of this (``handlers/openapi.py``). A test compares ``codes`` with what the handlers and
the methods they call say that they raise.
"""

from dataclasses import dataclass, field
from typing import Final

from msgspec import Struct

from handlers import answers, requests
from handlers.answers import Answer

ACCOUNTS: Final = "accounts"
BLOCKS: Final = "blocks"
PEOPLE: Final = "people"
PAGE: Final = "page"
OPERATORS: Final = "operators"
TAGS: Final = {
    ACCOUNTS: "Sign up, log in and out, and tickets for sockets.",
    BLOCKS: "Whom a person blocks.",
    PEOPLE: "What people may know of each other.",
    OPERATORS: "Whether a server runs, and whether it can do its work.",
    PAGE: "The page, and descriptions of the interface.",
}
"""In the order of the document."""

ANYWHERE: Final = "bad_request request_timeout body_too_large uri_too_long head_too_large unavailable draining internal"
"""Codes of requests that are broken, or come at a bad moment, whatever they ask for."""
WITH_BODY: Final = "unsupported_media_type bad_json bad_request"
WITH_BEARER: Final = "token_missing token_invalid token_expired session_revoked unavailable"
FILES: Final = "text/javascript text/css text/html image/svg+xml image/png application/manifest+json"
"""Content types of the page's files."""


@dataclass(frozen=True, slots=True)
class Link:
    """What a client may do next with an answer.

    :param to: the id of the other operation
    :param parameters: its parameters, as runtime expressions of OpenAPI, by their names
    :param body: the fields of its body, likewise
    """

    to: str
    parameters: dict[str, str] = field(default_factory=dict)
    body: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One route.

    :param id: its name in generated clients, in camelCase
    :param answer: the body of a 200; None: ``media``
    :param body: the request's body
    :param query: the fields of the query
    :param path: the parts of the path, by the names in the route
    :param bearer: whether it takes a token
    :param codes: what it answers besides what follows from the rest, separated by spaces
    :param others: the bodies of statuses that are no plain :class:`handlers.answers.Problem`
    :param media: the content type of a 200 that is no JSON
    :param links: what may follow a 200
    :param about: more than the summary says, in Markdown
    """

    id: str
    summary: str
    tag: str
    answer: type[Answer] | None = None
    body: type[Struct] | None = None
    query: type[Struct] | None = None
    path: type[Struct] | None = None
    bearer: bool = False
    codes: str = ""
    others: tuple[tuple[int, type[Struct]], ...] = ()
    media: str = ""
    links: tuple[Link, ...] = ()
    about: str = ""

    @property
    def all_codes(self) -> list[str]:
        """Every code it may answer, sorted."""
        body, token = WITH_BODY if self.body else "", WITH_BEARER if self.bearer else ""
        return sorted({*ANYWHERE.split(), *body.split(), *token.split(), *self.codes.split()})


OPERATIONS: Final[dict[tuple[str, str], Operation]] = {
    ("POST", "/auth/signin"): Operation(
        id="signUp",
        summary="Make an account (the original named this signin)",
        tag=ACCOUNTS,
        body=requests.SignUp,
        answer=answers.SignedUp,
        codes="bad_mobile code_missing code_wrong already_exists number_resting rate_limited busy",
        links=(Link("logIn", body={name: f"$request.body#/{name}" for name in ("mobileNo", "password")}),),
    ),
    ("POST", "/auth/login"): Operation(
        id="logIn",
        summary="Log in on a device",
        tag=ACCOUNTS,
        body=requests.Login,
        answer=answers.LoggedIn,
        codes="bad_mobile bad_device credentials_wrong too_many_devices rate_limited busy",
        others=((409, answers.TooManyDevices),),
        links=(
            Link("refresh", body={"refreshToken": "$response.body#/refreshToken"}),
            Link("issueTicket"),
            Link("listDevices"),
            Link("listSessions"),
            Link("logOut"),
        ),
    ),
    ("POST", "/auth/refresh"): Operation(
        id="refresh",
        summary="Get new tokens for this session",
        tag=ACCOUNTS,
        body=requests.Refresh,
        answer=answers.LoggedIn,
        codes="refresh_invalid refresh_reused session_revoked token_expired too_many_devices rate_limited",
        others=((409, answers.TooManyDevices),),
        links=(Link("refresh", body={"refreshToken": "$response.body#/refreshToken"}),),
    ),
    ("POST", "/auth/logout"): Operation(
        id="logOut",
        summary="End this session; its sockets close",
        tag=ACCOUNTS,
        bearer=True,
        answer=answers.Done,
    ),
    ("POST", "/auth/logout-everywhere"): Operation(
        id="logOutEverywhere",
        summary="End all my sessions but this one, or this one, too",
        tag=ACCOUNTS,
        bearer=True,
        query=requests.EverywhereQuery,
        answer=answers.LoggedOut,
        codes="rate_limited",
    ),
    ("POST", "/auth/password"): Operation(
        id="changePassword",
        summary="Change the password; all other sessions end",
        tag=ACCOUNTS,
        bearer=True,
        body=requests.PasswordChange,
        answer=answers.Done,
        codes="password_wrong rate_limited busy",
    ),
    ("POST", "/auth/reset"): Operation(
        id="resetPassword",
        summary="Set a new password with a code; all sessions end",
        tag=ACCOUNTS,
        body=requests.Reset,
        answer=answers.Done,
        codes="bad_mobile code_missing code_wrong codes_off no_such_person rate_limited busy",
    ),
    ("POST", "/v1/codes"): Operation(
        id="sendCode",
        summary="Have a code sent to a number",
        tag=ACCOUNTS,
        body=requests.CodeRequest,
        answer=answers.CodeSent,
        codes="bad_mobile codes_off code_not_sent rate_limited",
    ),
    ("GET", "/v1/sessions"): Operation(
        id="listSessions",
        summary="My sessions that live",
        tag=ACCOUNTS,
        bearer=True,
        answer=answers.SessionList,
        codes="rate_limited",
        links=(Link("endSession", {"id": "$response.body#/data/0/id"}),),
    ),
    ("DELETE", "/v1/sessions/<id:str>"): Operation(
        id="endSession",
        summary="End one of my sessions; its sockets close",
        tag=ACCOUNTS,
        bearer=True,
        path=requests.SessionPath,
        answer=answers.Done,
        codes="not_found rate_limited",
    ),
    ("GET", "/v1/events"): Operation(
        id="listEvents",
        summary="What happened to my account",
        tag=ACCOUNTS,
        bearer=True,
        query=requests.EventsQuery,
        answer=answers.EventList,
        codes="rate_limited",
        links=(Link("listEvents", {"before": "$response.body#/data/0/id"}),),
    ),
    ("GET", "/v1/devices"): Operation(
        id="listDevices",
        summary="My devices, and what waits for each",
        tag=ACCOUNTS,
        bearer=True,
        answer=answers.DeviceList,
        codes="rate_limited",
        links=(Link("unlinkDevice", {"deviceId": "$response.body#/data/0/deviceId"}),),
    ),
    ("DELETE", "/v1/devices/<device_id:str>"): Operation(
        id="unlinkDevice",
        summary="Unlink a device: its sessions end, its sockets close, what waited for it alone leaves",
        tag=ACCOUNTS,
        bearer=True,
        path=requests.DevicePath,
        answer=answers.Done,
        codes="bad_device not_found rate_limited",
    ),
    ("POST", "/v1/tickets"): Operation(
        id="issueTicket",
        summary="Get a ticket that opens one socket",
        tag=ACCOUNTS,
        bearer=True,
        answer=answers.Ticket,
    ),
    ("POST", "/block-action/block"): Operation(
        id="block",
        summary="Block somebody",
        tag=BLOCKS,
        bearer=True,
        body=requests.BlockRequest,
        answer=answers.Done,
        codes="bad_mobile self_block no_such_person block_list_full rate_limited",
        links=(Link("unblock", {"mobileNo": "$request.body#/blockedUserMobileNo"}), Link("listBlocked")),
    ),
    ("DELETE", "/block-action/unblock"): Operation(
        id="unblock",
        summary="Unblock somebody",
        tag=BLOCKS,
        bearer=True,
        query=requests.MobileQuery,
        answer=answers.Done,
        codes="bad_mobile self_block no_such_person rate_limited",
    ),
    ("GET", "/block-action/list"): Operation(
        id="listBlocked",
        summary="Whom I block, in the order of blocking",
        tag=BLOCKS,
        bearer=True,
        answer=answers.BlockList,
        links=(
            Link("unblock", {"mobileNo": "$response.body#/data/0/mobileNo"}),
            Link("lastSeen", {"mobileNo": "$response.body#/data/0/mobileNo"}),
        ),
    ),
    ("GET", "/profile/lastseen"): Operation(
        id="lastSeen",
        summary="When somebody was last online",
        tag=PEOPLE,
        bearer=True,
        query=requests.MobileQuery,
        answer=answers.LastSeen,
        codes="bad_mobile no_such_person rate_limited",
    ),
    ("GET", "/v1/me"): Operation(
        id="ownProfile",
        summary="My own profile",
        tag=PEOPLE,
        bearer=True,
        answer=answers.OwnProfile,
        codes="rate_limited",
    ),
    ("PATCH", "/v1/me"): Operation(
        id="changeProfile",
        summary="Change my own profile; what is not given stays",
        tag=PEOPLE,
        bearer=True,
        body=requests.ProfileChange,
        answer=answers.OwnProfile,
        codes="rate_limited",
    ),
    ("GET", "/v1/export"): Operation(
        id="export",
        summary="Everything that is held about me",
        tag=PEOPLE,
        bearer=True,
        answer=answers.Export,
        codes="rate_limited",
    ),
    ("DELETE", "/v1/me"): Operation(
        id="deleteAccount",
        summary="Delete my account and everything that is held about me",
        tag=ACCOUNTS,
        bearer=True,
        body=requests.Deletion,
        answer=answers.Done,
        codes="password_wrong rate_limited busy",
    ),
    ("POST", "/v1/me/number"): Operation(
        id="changeNumber",
        summary="Change my number; all other sessions end",
        tag=ACCOUNTS,
        bearer=True,
        body=requests.NumberChange,
        answer=answers.LoggedIn,
        codes="bad_mobile password_wrong code_missing code_wrong already_exists number_resting rate_limited busy",
    ),
    ("POST", "/v1/people/lookup"): Operation(
        id="lookUpPeople",
        summary="Those of an address book who have an account",
        tag=PEOPLE,
        bearer=True,
        body=requests.PeopleLookup,
        answer=answers.FoundPeople,
        codes="rate_limited",
    ),
    ("GET", "/v1/privacy"): Operation(
        id="getPrivacy",
        summary="What I hide",
        tag=PEOPLE,
        bearer=True,
        answer=answers.PrivacyAnswer,
        codes="no_such_person rate_limited",
    ),
    ("PUT", "/v1/privacy"): Operation(
        id="changePrivacy",
        summary="Hide something, or show it again",
        tag=PEOPLE,
        bearer=True,
        body=requests.PrivacyChange,
        answer=answers.PrivacyAnswer,
        codes="no_such_person rate_limited",
    ),
    ("GET", "/"): Operation(id="page", summary="The page", tag=PAGE, media="text/html"),
    ("GET", "/web/<name:str>"): Operation(
        id="pageFile",
        summary="A file of the page",
        tag=PAGE,
        path=requests.PageFile,
        codes="not_found",
        media=FILES,
    ),
    ("GET", "/web/<folder:str>/<name:str>"): Operation(
        id="pageFolderFile",
        summary="A file of a folder of the page",
        tag=PAGE,
        path=requests.PageFolderFile,
        codes="not_found",
        media=FILES,
    ),
    ("GET", "/openapi.json"): Operation(id="openapi", summary="This document", tag=PAGE, media="application/json"),
    ("GET", "/asyncapi.json"): Operation(
        id="asyncapi", summary="The WebSocket, in AsyncAPI 3", tag=PAGE, media="application/json"
    ),
    ("GET", "/docs"): Operation(id="docs", summary="This document for people", tag=PAGE, media="text/html"),
    ("GET", "/docs/<name:str>"): Operation(
        id="docsFile",
        summary="A file of that page",
        tag=PAGE,
        path=requests.ViewerFile,
        codes="not_found",
        media="text/javascript text/css",
    ),
    ("GET", "/health"): Operation(
        id="health", summary="Whether this process serves", tag=OPERATORS, answer=answers.Healthy
    ),
    ("GET", "/ready"): Operation(
        id="ready",
        summary="Whether this server can do its work",
        tag=OPERATORS,
        answer=answers.Ready,
        others=((503, answers.NotReady),),
    ),
}
"""By method and path, as in the table of routes."""
