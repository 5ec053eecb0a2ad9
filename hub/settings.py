"""Frozen settings with units and safe defaults; only the command line builds them.

Every limit that a peer can push against stands here, so that an operator sees them in one place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hub.errors import InputError
from hub.login_settings import LoginSettings

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB

_ROOT_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_RESERVED_ROOTS: Final = frozenset({"taxii2", "livez", "readyz"})


@dataclass(frozen=True, slots=True)
class HubLimits:
    """What one request, one client or a full house may ask of the hub.

    Args:
        content_length: longest request body, in bytes, after decompression; the API root
            announces it as `max_content_length`.
        json_depth: deepest nesting of arrays and objects in a request body.
        json_values: most values in a request body, counted by its commas and opening brackets,
            those in texts too; small values cost far more memory than the bytes they come in.
        page_objects: most rows in one page, whatever `limit` asks for.
        default_page_objects: rows in a page when the request names no `limit`.
        body_seconds: a request body must have arrived within this time.
        header_milliseconds: request headers must have arrived within this time.
        header_bytes: longest request line plus headers.
        connections: open connections at one time, idle ones too; more wait in the backlog.
        backlog: connections that may wait to be accepted, at least 128.
        envelope_objects: most objects in one posted envelope.
        queue_objects: objects that may wait for the appender; beyond it the hub answers 503.
        queue_bytes: bytes that may wait for the appender.
        batch_objects: most objects in one transaction.
        retry_after_seconds: what a 503 tells the client to wait.
        auth_failures: failed log-ins that one address may make in `auth_window_seconds`.
        auth_window_seconds: see `auth_failures`.
        account_rate: requests a second of one account in the long run, in each process; 0 sets no
            limit.
        account_burst: requests that an account may make at once.
        address_rate: the same for one address, or for one IPv6 /64, whatever it asks for.
        address_burst: see `address_rate`.
        streams: open streams of events in one process.
        account_streams: the same of one account.
        stream_seconds: a stream ends after so long, and its client comes again.
        segment_bytes: memory for pages that are kept ready, of one process.
        snapshot_bytes: disk for the frames of snapshots.
        store_threads: calls to a database server that may run at one time, in each process.
        store_waiting: calls that may wait for a thread; beyond it the hub answers 503.
        store_seconds: a call to a database server must be answered within this time.
        status_seconds: a status resource can be read for this long.
        drain_seconds: for so long after a stop signal the hub still serves while /readyz refuses,
            so that balancers send it nothing new.
        shutdown_seconds: how long running requests may take to end after that.
    """

    content_length: int = 8 * MIB
    json_depth: int = 64
    json_values: int = 500_000
    page_objects: int = 1000
    default_page_objects: int = 1000
    body_seconds: float = 30.0
    header_milliseconds: int = 30_000
    header_bytes: int = 64 * KIB
    connections: int = 8192
    backlog: int = 1024
    envelope_objects: int = 20_000
    queue_objects: int = 100_000
    queue_bytes: int = 128 * MIB
    batch_objects: int = 5_000
    retry_after_seconds: int = 1
    auth_failures: int = 20
    auth_window_seconds: float = 60.0
    account_rate: float = 500.0
    account_burst: int = 2_000
    address_rate: float = 1_000.0
    address_burst: int = 4_000
    streams: int = 4096
    account_streams: int = 64
    stream_seconds: float = 3600.0
    segment_bytes: int = 64 * MIB
    snapshot_bytes: int = 4 * GIB
    store_threads: int = 16
    store_waiting: int = 2_000
    store_seconds: float = 10.0
    status_seconds: int = 7 * 24 * 3600
    drain_seconds: float = 0.0
    shutdown_seconds: int = 20


@dataclass(frozen=True, slots=True)
class WitnessSettings:
    """The witnesses that a hub asks to cosign its logs, and how patient it is with them.

    Args:
        urls: submission prefixes (C2SP tlog-witness).
        request_seconds: for one exchange with one of them.
        answer_seconds: so long a member's request waits for a quorum.
        look_seconds: how often logs are looked at for growth.
        refresh_seconds: a cosigned checkpoint of a log that does not grow is replaced after that.
    """

    urls: tuple[str, ...] = ()
    request_seconds: float = 3.0
    answer_seconds: float = 3.0
    look_seconds: float = 0.5
    refresh_seconds: float = 300.0

    def __post_init__(self) -> None:
        for url in self.urls:
            if not url.startswith(("https://", "http://")) or "@" in url:
                raise InputError("a witness's URL starts with https:// (or http://)", where=url)


@dataclass(frozen=True, slots=True)
class PushSettings:
    """The rhythm of streams of events, and the sizes of segments and snapshots.

    Args:
        heartbeat_seconds: a silent stream carries a comment after that.
        rights_seconds: no event is sent on rights that were asked longer ago, and a stream of
            somebody who lost them ends by then.
        write_seconds: a reader that takes nothing for so long is let go.
        poll_seconds: how often a store on another machine is asked for what no hint told.
        local_poll_seconds: the same of a store on this one.
        gather_seconds: what arrives so soon after an event makes one event with others.
        segment_from: pages of fewer bytes are not kept ready.
        frame_objects: objects in one frame of a snapshot.
        frame_bytes: bodies in one frame, unless a single one is longer.
        snapshots: folder for the frames; None offers no snapshots.
    """

    heartbeat_seconds: float = 15.0
    rights_seconds: float = 5.0
    write_seconds: float = 20.0
    poll_seconds: float = 2.0
    local_poll_seconds: float = 0.1
    gather_seconds: float = 0.05
    segment_from: int = 16 * KIB
    frame_objects: int = 10_000
    frame_bytes: int = 32 * MIB
    snapshots: Path | None = None


@dataclass(frozen=True, slots=True)
class HubSettings:
    """One hub.

    Args:
        root: name of the API root, the first segment of its URL.
        title: shown in the discovery and API root resources.
        description: likewise.
        contact: how to reach the operator, shown in the discovery resource.
        public_url: how clients reach the hub (`https://hub.example`), without a path; used for the
            URLs of the discovery resource and for account bindings. None: the discovery resource
            takes the request's own, and no account can be bound.
        other_urls: further names of the same hub that a binding may be signed for.
        behind_proxy: a reverse proxy stands in front: the client's address is the last entry of
            `X-Forwarded-For`, and `X-Forwarded-Proto` tells whether it came over TLS.
        slow_seconds: an answer that took longer is logged as a warning.
        witnesses: see `WitnessSettings`.
        logins: see `LoginSettings`.
        limits: see `HubLimits`.
        push: see `PushSettings`.

    Raises:
        InputError: the root's name cannot be a URL segment, or is taken by the hub itself.
    """

    root: str = "stillwatch"
    title: str = "Stillwatch hub"
    description: str = "Sharing of indicators of distillation attacks over TAXII 2.1"
    contact: str | None = None
    public_url: str | None = None
    other_urls: tuple[str, ...] = ()
    behind_proxy: bool = False
    slow_seconds: float = 5.0
    witnesses: WitnessSettings = field(default_factory=WitnessSettings)
    logins: LoginSettings = field(default_factory=LoginSettings)
    limits: HubLimits = field(default_factory=HubLimits)
    push: PushSettings = field(default_factory=PushSettings)

    def __post_init__(self) -> None:
        if not _ROOT_NAME.fullmatch(self.root) or self.root in _RESERVED_ROOTS:
            raise InputError(
                "an API root's name is 1 to 63 lower-case letters, digits and hyphens",
                where="root",
            )


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """Where and how the hub listens.

    Args:
        host: address to bind.
        port: TCP port to bind.
        tls_cert: PEM certificate chain; None serves plain HTTP.
        tls_key: PEM private key (PKCS #8) of `tls_cert`.
        tls_client_ca: PEM certificates; clients must then present one that these sign.
    """

    host: str = "127.0.0.1"
    port: int = 8427
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None


@dataclass(frozen=True)
class ClientSettings:
    """How a member's machine talks to a hub, and when it warns.

    Attributes:
        connect_timeout_s: seconds until a connection must stand.
        read_timeout_s: seconds of silence after which a read is given up.
        events_timeout_s: seconds of silence after which a stream of events is given up; a hub
            sends something every 15.
        notice_s: seconds of waiting for one answer after which the operator is told.
        patience_s: a request that got no answer is not tried again after so many seconds in all.
        attempts: how often one request is tried in all.
        backoff_base_s: upper bound of the first pause; it doubles with each attempt (full jitter).
        backoff_cap_s: upper bound of any pause, also of one that the hub asks for.
        max_response_bytes: a response beyond this size, after decompression, is refused.
        page_limit: objects asked for in one page.
        snapshot_objects: with fewer objects to come, pages are as good as a snapshot.
        batch_objects: STIX objects sealed in one message.
        batch_bytes: STIX bytes sealed in one message.
        post_bytes: sealed bytes sent in one request.
        status_timeout_s: seconds to wait for a hub that answers a POST with "pending".
        overlap_s: on servers that are not Stillwatch hubs, seconds re-read before the cursor,
            because their `date_added` is not promised to be strictly increasing.
        warn_before_s: how long before an expiry `status` and `channel renew` warn.
        message_lifetime_s: `exp` of data messages.
        clock_skew_s: a hub clock that differs by more is reported.
        max_standing_pages: so many pages in a row may bring no newer `date_added`.
        max_waiting, max_waiting_bytes: messages that are kept for a channel until what they build
            on arrives; beyond that somebody floods the collection.
        lock_wait_s: how long a command waits for another one that works with the same home.
        card_lifetime_s, manifest_lifetime_s, invitation_lifetime_s: how long what is issued lasts.
        fingerprint_key_lifetime_s: how long a fingerprint key is kept after it was made.
    """

    connect_timeout_s: float = 10.0
    read_timeout_s: float = 30.0
    events_timeout_s: float = 45.0
    notice_s: float = 10.0
    patience_s: float = 45.0
    attempts: int = 5
    backoff_base_s: float = 0.5
    backoff_cap_s: float = 30.0
    max_response_bytes: int = 256 * 1024 * 1024
    page_limit: int = 1000
    snapshot_objects: int = 5_000
    batch_objects: int = 1000
    batch_bytes: int = 4 * 1024 * 1024
    post_bytes: int = 4 * 1024 * 1024
    status_timeout_s: float = 60.0
    overlap_s: int = 10
    warn_before_s: int = 14 * 86_400
    message_lifetime_s: int = 90 * 86_400
    clock_skew_s: int = 120
    lock_wait_s: float = 5.0
    max_standing_pages: int = 1_000
    max_waiting: int = 1_000
    max_waiting_bytes: int = 256 * 1024 * 1024
    card_lifetime_s: int = 180 * 86_400
    manifest_lifetime_s: int = 90 * 86_400
    invitation_lifetime_s: int = 7 * 86_400
    fingerprint_key_lifetime_s: int = 180 * 86_400
