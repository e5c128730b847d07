"""The settings. Each field is an environment variable of the same name in capitals."""

import base64
import re
from typing import Final, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MIN_SECRET_BYTES: Final = 32
_SAMPLE_SECRETS: Final = ("change", "secret", "example", "sample", "password")
"""Long enough that no random secret begins with one: with three letters, one in 33,000 did."""
_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


class SettingsError(Exception):
    """The environment does not make a runnable product; the message says which variable and why, never its value."""


class Settings(BaseSettings):
    """All settings. Units are in the descriptions; reasons for the defaults are in .env.sample."""

    model_config = SettingsConfigDict(frozen=True, hide_input_in_errors=True, extra="ignore")

    redis_url: str = Field(description="Redis or Valkey 7.0+: redis://, rediss:// or unix://…?db=0")
    database_url: str = Field(description="PostgreSQL 13+: postgres://user:password@host:5432/name")
    arq_redis_url: str = Field("", description="Redis of the background jobs; empty: the same as REDIS_URL")
    jwt_secret: SecretStr = Field(description="Signs tokens (HS256); at least 32 bytes of random text")
    jwt_previous_secret: SecretStr = Field(
        SecretStr(""), description="The secret before this one: still verifies, no longer signs"
    )
    token_hours: float = Field(24, gt=0, le=24 * 366, description="Hours a token lives, and never past its session")
    session_idle_days: float = Field(
        60, gt=0, le=366, description="Days a session lives after its last log-in or refresh"
    )
    ticket_seconds: int = Field(30, ge=1, le=600, description="Seconds a socket ticket may wait to be used")

    signup_code: Literal["off", "log", "webhook"] = Field(
        "off", description="Whether a number has to be proven by a code, and how the code is sent; log: printed"
    )
    signup_code_url: str = Field("", description="Where codes are posted: https://…")
    signup_code_secret: SecretStr = Field(
        SecretStr(""), description="Signs what is posted there: whsec_ and 24 to 64 bytes in base64 (Standard Webhooks)"
    )
    signup_code_seconds: float = Field(
        4, gt=0, le=5, description="Seconds the receiver may take, all attempts together; then the code is withdrawn"
    )

    bcrypt_rounds: int = Field(12, ge=4, le=16, description="Cost of a password hash; 12 is 240-460 ms")
    bcrypt_threads: int = Field(2, ge=1, le=64, description="Hashes computed at once by one worker process")
    bcrypt_waiting: int = Field(8, ge=0, description="Logins that may wait for a thread; the next gets 503 busy")
    default_region: str = Field(
        "",
        pattern=r"^([A-Z]{2})?$",
        description="Country of numbers written without one (IN, DE); empty: digits as given",
    )

    mailbox_limit: int = Field(10_000, ge=1, description="Chats that may wait for one person")
    mailbox_bytes: int = Field(16 * 2**20, ge=1024, description="Bytes of chat text that may wait for one person")
    mailbox_per_sender: int = Field(1_000, ge=1, description="Chats of one sender that may wait for one person")
    mailbox_bytes_per_sender: int = Field(
        2**20, ge=1024, description="Bytes of chat text of one sender that may wait for one person"
    )
    mailbox_days: float = Field(30, gt=0, description="Days a chat may wait; then its sender gets `expired`")
    max_message_bytes: int = Field(16 * 2**10, ge=1, le=48 * 2**10, description="Bytes of one chat text in UTF-8")
    max_devices: int = Field(5, ge=1, le=16, description="Devices of one person")
    device_days: float = Field(30, gt=0, description="Days after which a device that was not used is unlinked")
    max_blocks: int = Field(5_000, ge=1, le=50_000, description="People one person may block")
    dedupe_hours: float = Field(24, gt=0, description="Hours a retry is recognised after its chat left the mailbox")

    window: int = Field(256, ge=1, le=4096, description="Entries in flight and unacked on one connection")
    watch_limit: int = Field(200, ge=1, le=1_000, description="People whose presence one connection may watch")
    redeliver_seconds: float = Field(30, gt=0, description="Seconds without an ack after which an entry is sent again")
    redeliver_times: int = Field(3, ge=0, description="How often it is sent again on one connection")
    stuck_window_seconds: float = Field(60, gt=0, description="Seconds a full window may see no ack; then close 4001")
    park_after: int = Field(5, ge=1, description="Failures of our own code on one entry before it is a dead letter")
    bad_frames_per_minute: int = Field(10, ge=1, description="Bad frames in a minute that end a connection (4503)")

    ping_seconds: float = Field(20, gt=0, description="Seconds between pings; two unanswered end a connection")
    lease_seconds: float = Field(60, gt=0, description="Seconds one sign of life keeps a person online")
    bell_seconds: float = Field(5, gt=0, description="Seconds between a server's heartbeats")
    bell_silence_seconds: float = Field(
        15, gt=0, description="Silence on its own channel after which it subscribes anew"
    )
    session_check_seconds: float = Field(
        15, gt=0, description="Seconds between looks at whether open sockets' sessions live"
    )
    drain_seconds: float = Field(
        5, ge=0, le=600, description="Seconds a stopping worker may take to finish and close its sockets"
    )
    data_frames_per_second: float = Field(
        2_000, gt=0, description="Units of work a person may be to one server in a second; above it they are not read"
    )
    data_frames_burst: int = Field(1_000, ge=1, description="Units of work at once")
    control_frames_per_second: float = Field(
        20, gt=0, description="Pings and pongs one socket may send, on average; then close 1008"
    )
    control_frames_burst: int = Field(60, ge=8, description="Pings and pongs one socket may send at once")
    cooldown_seconds: float = Field(
        1,
        ge=0,
        description="Seconds a person waits after a connection was closed for what it sent; doubled each time; 0: off",
    )
    sockets_per_address: int = Field(
        0, ge=0, description="Sockets one IP address may have on one worker process; 0: no limit"
    )
    proxies: int = Field(0, ge=0, le=8, description="Proxies in front whose X-Forwarded-For is trusted")
    keep_alive_seconds: float = Field(
        75,
        gt=0,
        description="Seconds an HTTP connection may wait for its next request; longer than proxies keep theirs",
    )
    idle_connections: int = Field(
        1_000, ge=16, description="HTTP connections of one worker process that may wait for a request"
    )
    cors_origins: str = Field(
        "http://localhost:5500",
        description="Origins whose browser pages may use HTTP here, separated by commas; *: any; empty: none",
    )
    write_seconds: float = Field(10, gt=0, description="Seconds one write to a socket may block; then close 4001")

    rate_limits: Literal["on", "off"] = Field(
        "on", description="Whether the limits below hold; off: for load tests from one machine"
    )
    logins_per_minute: float = Field(
        10, gt=0, description="Log-ins in a minute of one number from unknown devices, or from one known; then 429"
    )
    logins_burst: int = Field(10, ge=1, description="Log-ins of one number at once; failures beyond double the wait")
    logins_per_address_per_minute: float = Field(
        10, gt=0, description="Log-ins in a minute of one address, but from devices known there; then 429"
    )
    logins_per_address_burst: int = Field(10, ge=1, description="Log-ins of one address at once")
    login_wait_seconds: float = Field(
        900, ge=1, description="Seconds a number waits at most for its next log-in, however many failed"
    )
    refreshes_per_minute: float = Field(
        6, gt=0, description="Refreshes in a minute of one session on one worker process; then 429"
    )
    refreshes_burst: int = Field(30, ge=1, description="Refreshes of one session at once on one worker process")
    refreshes_per_address_per_second: float = Field(
        10, gt=0, description="Refreshes in a second of one address on one worker process; then 429"
    )
    refreshes_per_address_burst: int = Field(
        300, ge=1, description="Refreshes of one address at once on one worker process"
    )
    codes_per_hour: float = Field(5, gt=0, description="Codes sent to one number in an hour, and at once; then 429")
    codes_per_address_per_hour: float = Field(
        20, gt=0, description="Codes asked for, and codes given, by one address in an hour, and at once; then 429"
    )
    sign_ups_per_hour: float = Field(5, gt=0, description="Sign-ups in an hour of one address, and at once; then 429")
    upgrades_per_second: float = Field(
        1, gt=0, description="Sockets one person may open in a second on one worker process; then 429"
    )
    upgrades_burst: int = Field(30, ge=1, description="Sockets one person may open at once on one worker process")
    upgrades_per_address_per_second: float = Field(
        10, gt=0, description="Sockets one address may try to open in a second on one worker process; then 429"
    )
    upgrades_per_address_burst: int = Field(
        300, ge=1, description="Sockets one address may try to open at once on one worker process"
    )
    connections_per_address: int = Field(
        64, ge=0, description="TCP connections of one address that are no sockets, on one worker process; 0: no limit"
    )
    lookups_per_minute: float = Field(
        12, gt=0, description="Numbers one person may look up in a minute: last seen, and recipients not in Redis"
    )
    lookups_burst: int = Field(1_000, ge=1, description="Numbers one person may look up at once")
    lookups_per_address_per_minute: float = Field(
        60, gt=0, description="Numbers all people of one address may look up in a minute over HTTP"
    )
    lookups_per_address_burst: int = Field(
        5_000, ge=1, description="Numbers all people of one address may look up at once over HTTP"
    )
    account_requests_per_minute: float = Field(
        60,
        gt=0,
        description="Requests in a minute of one person about their own account: profile, privacy, number, deletion",
    )
    account_requests_burst: int = Field(60, ge=1, description="Such requests of one person at once")
    number_changes_per_day: float = Field(
        3, gt=0, description="Times a day, and at once, that one account may get another number"
    )
    exports_per_minute: float = Field(1, gt=0, description="Exports of everything held about one person in a minute")
    pair_chats_per_second: float = Field(20, gt=0, description="Chats a second of one sender to one recipient")
    pair_chats_burst: int = Field(60, ge=1, description="Chats at once of one sender to one recipient")
    stranger_chats_per_second: float = Field(
        1, gt=0, description="Chats a second of one sender to one recipient who never wrote to them"
    )
    stranger_chats_burst: int = Field(20, ge=1, description="Chats at once of one sender to such a recipient")
    sender_chats_per_second: float = Field(100, gt=0, description="Chats a second of one sender to all recipients")
    sender_chats_burst: int = Field(500, ge=1, description="Chats at once of one sender to all recipients")
    sender_bytes_per_second: float = Field(
        4 * 2**20, gt=0, description="Bytes of chat text a second of one sender to all recipients"
    )
    sender_bytes_burst: int = Field(
        4 * 2**20, ge=1, description="Bytes of chat text at once of one sender to all recipients"
    )
    new_recipients_per_hour: float = Field(
        50, gt=0, description="Recipients an hour, and at once, to whom one sender writes for the first time"
    )

    redis_connect_seconds: float = Field(2, gt=0, description="Seconds to reach Redis")
    redis_command_seconds: float = Field(3, gt=0, description="Seconds one Redis command may take")
    replicas_acked: int = Field(
        0, ge=0, le=16, description="Replicas of Redis that must have a chat before it is `sent`; 0: wait for none"
    )
    replicas_seconds: float = Field(
        1, ge=0.01, description="Seconds to wait for them; then the sender gets `unavailable`"
    )
    storage_refuse_percent: float = Field(
        90,
        ge=10,
        le=100,
        description="Percent of Redis' maxmemory at which chats are refused (storage_full), so that the rest goes on",
    )
    database_pool: int = Field(10, ge=1, description="PostgreSQL connections of one worker process")
    event_buffer: int = Field(10_000, ge=1, description="Session events that may wait to be written in bulk")

    sweep_seconds: int = Field(10, ge=1, le=60, description="Seconds between sweeps of presence (a divisor of 60)")
    reclaim_seconds: int = Field(
        15, ge=1, le=60, description="Seconds between looks for stuck mailboxes (a divisor of 60)"
    )
    cap_minutes: int = Field(5, ge=1, le=60, description="Minutes between runs of the expiry job (a divisor of 60)")
    cap_batch: int = Field(10_000, ge=1, description="People looked at by one run of the expiry job")
    prune_minutes: int = Field(
        10, ge=1, le=60, description="Minutes between runs that prune old history (a divisor of 60)"
    )
    session_event_days: float = Field(90, gt=0, description="Days session events are kept")
    session_days: float = Field(30, ge=0, description="Days a session is kept after its end by time")

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="How much is logged")

    @field_validator("jwt_secret")
    @classmethod
    def _strong(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if len(text.encode()) < MIN_SECRET_BYTES:
            raise ValueError(f"must have at least {MIN_SECRET_BYTES} bytes")
        if len(set(text)) < 8 or any(text.lower().startswith(word) for word in _SAMPLE_SECRETS):
            raise ValueError("looks like a sample; make one with: openssl rand -base64 48")
        return value

    @field_validator("jwt_previous_secret")
    @classmethod
    def _previous(cls, value: SecretStr) -> SecretStr:
        return cls._strong(value) if value.get_secret_value() else value

    @field_validator("signup_code_secret")
    @classmethod
    def _webhook_secret(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text and not 24 <= len(_webhook_key(text)) <= 64:
            raise ValueError('must be whsec_ and 24 to 64 bytes in base64: echo "whsec_$(openssl rand -base64 32)"')
        return value

    @field_validator("redis_url", "database_url", "arq_redis_url")
    @classmethod
    def _scheme(cls, value: str) -> str:
        schemes = ("redis://", "rediss://", "unix://", "postgres://", "postgresql://", "")
        if value and not value.startswith(schemes[:-1]):
            raise ValueError(f"must start with one of {' '.join(schemes)}")
        return value.replace("postgresql://", "postgres://", 1)

    @field_validator("sweep_seconds", "reclaim_seconds", "cap_minutes", "prune_minutes")
    @classmethod
    def _divides(cls, value: int) -> int:
        if 60 % value:
            raise ValueError("must divide 60")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: str) -> str:
        origins = [origin.strip().lower() for origin in value.split(",") if origin.strip()]
        if not all(_ORIGIN.fullmatch(origin) for origin in origins) and origins != ["*"]:
            raise ValueError("lists origins as browsers write them: http://host:port, without a path; or is * alone")
        return ",".join(origins)

    @model_validator(mode="after")
    def _fits_together(self) -> "Settings":
        if self.lease_seconds < 2 * self.ping_seconds:
            raise ValueError("LEASE_SECONDS must be at least twice PING_SECONDS, or people flicker offline")
        if self.bell_silence_seconds < 2 * self.bell_seconds:
            raise ValueError("BELL_SILENCE_SECONDS must be at least twice BELL_SECONDS")
        if self.signup_code == "webhook" and not (
            self.signup_code_url.startswith(("https://", "http://")) and self.signup_code_secret.get_secret_value()
        ):
            raise ValueError("SIGNUP_CODE=webhook needs SIGNUP_CODE_URL (https://…) and SIGNUP_CODE_SECRET")
        if self.replicas_acked and self.replicas_seconds >= self.redis_command_seconds:
            raise ValueError(
                "REPLICAS_SECONDS must be less than REDIS_COMMAND_SECONDS, or every wait looks like an outage"
            )
        return self

    @property
    def origins(self) -> frozenset[str]:
        """:attr:`cors_origins` as a set."""
        return frozenset(origin for origin in self.cors_origins.split(",") if origin)

    @property
    def dedupe_seconds(self) -> int:
        """:attr:`dedupe_hours` in whole seconds."""
        return max(1, int(self.dedupe_hours * 3600))

    @property
    def records_seconds(self) -> int:
        """How long a dedupe record may be needed: its chat waits, and then the dedupe time passes."""
        return int(self.mailbox_days * 86_400) + self.dedupe_seconds

    @property
    def session_seconds(self) -> float:
        """How long a session lives after its last log-in or refresh; at least as long as a token."""
        return max(self.session_idle_days * 86_400, self.token_hours * 3600)

    @property
    def linked_seconds(self) -> float:
        """How long a device is linked after its last log-in or refresh; at least as long as a token lives, because a
        client of the original does nothing else meanwhile."""
        return max(self.device_days * 86_400, self.token_hours * 3600)

    @property
    def jobs_redis_url(self) -> str:
        """Where arq keeps its queue."""
        return self.arq_redis_url or self.redis_url


def _webhook_key(secret: str) -> bytes:
    """The bytes of a secret of Standard Webhooks; none, if it is not one."""
    if not secret.startswith("whsec_"):
        return b""
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        return b""


def load() -> Settings:
    """Read the environment.

    :raises SettingsError: one line for each variable that is missing or wrong
    """
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"  {'.'.join(str(p) for p in e['loc']).upper() or 'settings'}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors(include_input=False, include_url=False)
        ]
        raise SettingsError("The environment is not complete:\n" + "\n".join(lines)) from None
