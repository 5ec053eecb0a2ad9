"""How often one account and one address may ask: a limit of rate for each, with room for bursts.

Each key has one number, the moment at which it will have worked off what it asked so far (GCRA, the
token bucket's twin). A request moves it on by one interval, and is refused when the moment lies
further ahead than a burst takes. What lies in the past says nothing and is forgotten, so memory is
bounded by the keys that asked lately, and by a cap beyond that.

One process counts what reaches it: with several, a client that spreads its connections gets up to
as many times the rate. A reverse proxy's limit stands before all of them.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from hub.server.refusals import TooManyRequestsError

_MOST_KEYS: Final = 50_000
_IPV6_SITE: Final = 64


class Rate:
    """One limit for many keys.

    Args:
        per_second: requests that a key may make in the long run; 0 sets no limit.
        burst: requests that it may make at once after a pause, at least 1.
        whom: names the limited in the refusal, such as "account".
        monotonic: clock in seconds.
        most: keys that are remembered; beyond it those that asked first are forgotten.
    """

    def __init__(
        self,
        per_second: float,
        burst: int,
        whom: str,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        most: int = _MOST_KEYS,
    ) -> None:
        self._interval = 1.0 / per_second if per_second else 0.0
        # A thousandth more than whole intervals, for sums of floats.
        self._ahead = self._interval * (max(1, burst) - 0.999)
        self._whom = whom
        self._monotonic = monotonic
        self._most = most
        self._moments: dict[str, float] = {}

    def take(self, key: str) -> None:
        """Count one request.

        Raises:
            TooManyRequestsError: one too many; it is not counted, and says when to come again.
        """
        if not self._interval:
            return
        now = self._monotonic()
        moments = self._moments
        moment = moments.get(key)
        if moment is None:
            if len(moments) >= self._most:
                self._forget(now)
            moment = now
        elif moment < now:
            moment = now
        wait = moment - now - self._ahead
        if wait > 0:
            raise TooManyRequestsError(
                f"too many requests from this {self._whom}",
                hint="wait as long as Retry-After says; ask for larger pages, less often",
                headers={"retry-after": str(int(wait) + 1)},
            )
        moments[key] = moment + self._interval

    @property
    def known(self) -> int:
        """Keys that are remembered."""
        return len(self._moments)

    def _forget(self, now: float) -> None:
        kept = {key: moment for key, moment in self._moments.items() if moment > now}
        # Half at once, so that a flood of addresses does not pay for this at each request.
        for key in list(kept)[: max(0, len(kept) - self._most // 2)]:
            del kept[key]
        self._moments = kept


@lru_cache(maxsize=4096)
def network(address: str) -> str:
    """What an address counts as: itself, or the /64 that one IPv6 site has at its will."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, _IPV6_SITE), strict=False))
