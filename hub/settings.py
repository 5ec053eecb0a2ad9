"""Frozen settings with units and safe defaults; only the command line builds them."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class ClientSettings:
    """How a member's machine talks to a hub, and when it warns.

    Attributes:
        connect_timeout_s: seconds until a connection must stand.
        read_timeout_s: seconds of silence after which a read is given up.
        attempts: how often one request is tried in all.
        backoff_base_s: upper bound of the first pause; it doubles with each attempt (full jitter).
        backoff_cap_s: upper bound of any pause, also of one that the hub asks for.
        max_response_bytes: a response beyond this size, after decompression, is refused.
        page_limit: objects asked for in one page.
        batch_objects: STIX objects sealed in one message.
        batch_bytes: STIX bytes sealed in one message.
        post_bytes: sealed bytes sent in one request.
        status_timeout_s: seconds to wait for a hub that answers a POST with "pending".
        overlap_s: on servers that are not Stillwatch hubs, seconds re-read before the cursor,
            because their `date_added` is not promised to be strictly increasing.
        warn_before_s: how long before an expiry `status` and `channel renew` warn.
        heartbeat_s: a publisher that sent nothing for this long sends a heartbeat with its pull.
        message_lifetime_s: `exp` of data messages.
        clock_skew_s: a hub clock that differs by more is reported.
    """

    connect_timeout_s: float = 10.0
    read_timeout_s: float = 60.0
    attempts: int = 5
    backoff_base_s: float = 0.5
    backoff_cap_s: float = 30.0
    max_response_bytes: int = 256 * 1024 * 1024
    page_limit: int = 1000
    batch_objects: int = 1000
    batch_bytes: int = 4 * 1024 * 1024
    post_bytes: int = 4 * 1024 * 1024
    status_timeout_s: float = 60.0
    overlap_s: int = 10
    warn_before_s: int = 14 * 86_400
    heartbeat_s: int = 86_400
    message_lifetime_s: int = 90 * 86_400
    clock_skew_s: int = 120
