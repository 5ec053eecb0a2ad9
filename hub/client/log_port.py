"""The port to a channel's log on its hub, and its implementation over HTTP.

Answers are plain text. Nothing in them is verified here, but their form: what does not look like an
answer of a log is a `TransportError`, except for the checkpoint, which is handed on as it came.
Source: schemas/channel-v1.md, "Log".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Protocol

from hub.channel.fields import from_base64
from hub.channel.log.note import MAX_NOTE
from hub.channel.log.tree import MAX_PROOF
from hub.channel.policy import Log, parse_log
from hub.channel.primitives.hash import HASH_SIZE
from hub.client.answers import wrapped
from hub.client.session import GuardedSession
from hub.errors import InputError, TransportError, VerificationError

MAX_ENTRIES: Final = 10_000
_ENTRIES: Final = re.compile(rb"(?:[0-9a-f]{64}\n)*")


class ChannelLog(Protocol):
    """One channel's log as its hub shows it."""

    def checkpoint(self) -> str | None:
        """The newest signed checkpoint; None where the hub keeps no log of the channel."""
        ...

    def entries(self, start: int, end: int) -> Sequence[bytes]:
        """The digests of entries `start` to `end - 1`, in order; fewer where the hub has fewer.

        Args:
            start: index of the first.
            end: index after the last; at most 10,000 after `start`.
        """
        ...

    def consistency(self, first: int, second: int) -> Sequence[bytes]:
        """The proof that the log of size `second` continues the one of size `first`."""
        ...

    def inclusion(self, size: int, index: int) -> Sequence[bytes]:
        """The proof that entry `index` is in the log of a size."""
        ...


def offered(value: object, where: str) -> Log | None:
    """The log that a hub offers for a collection: `x_stillwatch_log` of its resource.

    Raises:
        TransportError: it is there, and is no log.
    """
    try:
        return parse_log(value)
    except (InputError, VerificationError) as error:
        raise TransportError(f"the hub offers an unreadable log: {error}", where=where) from error


class HttpLog:
    """`ChannelLog` over HTTP.

    Args:
        session: reaches the hub.
        url: `{api_root}channels/{channel id}/`.
    """

    def __init__(self, session: GuardedSession, url: str) -> None:
        self._session = session
        self._url = url

    def checkpoint(self) -> str | None:
        """The newest signed checkpoint; None where the hub keeps no log of the channel."""
        body = self._get("checkpoint", {})
        # More than a note may have is cut here and refused by whoever reads it.
        return None if body is None else body[: MAX_NOTE + 1].decode("utf-8", "replace")

    def entries(self, start: int, end: int) -> Sequence[bytes]:
        """The digests of entries, in order; fewer where the hub has fewer."""
        body = self._get("entries", {"from": start, "to": end}) or b""
        if not _ENTRIES.fullmatch(body) or len(body) > (end - start) * 65:
            raise TransportError("the hub's entries are not readable", where=f"{self._url}entries")
        return [bytes.fromhex(line.decode("ascii")) for line in body.splitlines()]

    def consistency(self, first: int, second: int) -> Sequence[bytes]:
        """The proof that one size of the log continues another."""
        return self._proof("proof/consistency", {"from": first, "to": second})

    def inclusion(self, size: int, index: int) -> Sequence[bytes]:
        """The proof that an entry is in the log of a size."""
        return self._proof("proof/inclusion", {"size": size, "index": index})

    def _proof(self, path: str, query: dict[str, int]) -> Sequence[bytes]:
        where = self._url + path
        lines = (self._get(path, query) or b"").decode("ascii", "replace").splitlines()
        if len(lines) > MAX_PROOF:
            raise TransportError("the hub's proof is not readable", where=where)
        try:
            return [from_base64(line, where=where, most=HASH_SIZE) for line in lines]
        except InputError as error:
            raise TransportError("the hub's proof is not readable", where=where) from error

    def _get(self, path: str, query: dict[str, int]) -> bytes | None:
        url = self._url + path
        with wrapped(url):
            response = self._session.get(url, params=query, headers={"Accept": "text/plain"})
            if response.status_code == 404:
                return None
            response.raise_for_status()
            return bytes(response.content)
