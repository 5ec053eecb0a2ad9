"""One exchange with a witness over HTTP.

Source: C2SP tlog-witness, "add-checkpoint".
"""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import requests

from hub.channel.log.note import MAX_NOTE, SignatureLine, parse_lines
from hub.errors import InputError, TransportError, VerificationError

_SIZE: Final = re.compile(rb"(0|[1-9][0-9]{0,14})\n")


@dataclass(frozen=True, slots=True)
class Submission:
    """A checkpoint that shall be cosigned.

    Args:
        raw: the note.
        size: its number of leaves.
        proof: gives the consistency proof from an earlier size to this one.
    """

    raw: str
    size: int
    proof: Callable[[int], Sequence[bytes]]

    def body(self, old: int) -> bytes:
        """The request to a witness that has last seen a tree of `old` leaves."""
        lines = [f"old {old}"]
        lines += [base64.b64encode(one).decode() for one in self.proof(old)]
        return ("\n".join(lines) + "\n\n" + self.raw).encode()


class Submit(Protocol):
    """How a checkpoint gets to a witness."""

    def __call__(self, url: str, submission: Submission, old: int) -> Sequence[SignatureLine]:
        """Submit, and answer the witness's lines, which are not verified yet.

        Args:
            url: submission prefix of the witness.
            submission: the checkpoint.
            old: the size that it is thought to have seen last.
        Raises:
            TransportError: it did not answer in time, or outside the protocol.
            InputError: it does not know the log, or takes no such checkpoint.
            VerificationError: it has seen a tree that this checkpoint contradicts.
        """
        ...


class HttpSubmit:
    """`Submit` over HTTP: no redirects, bounded time and size.

    Args:
        seconds: for one request, the whole answer included.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._kept = threading.local()

    def __call__(self, url: str, submission: Submission, old: int) -> Sequence[SignatureLine]:
        """See `Submit`."""
        status, body = self._post(url, submission.body(old))
        if status == 409:
            status, body = self._again(url, submission, old, body)
        if status == 200:
            return parse_lines(_text(body), where=url)
        if status in (403, 404):
            raise InputError(
                "the witness does not know this log",
                where=url,
                hint="its operator adds it: stillwatch witness log add VERIFIER-KEY",
            )
        if status in (409, 422):
            raise VerificationError(
                "the witness has cosigned a log that this one contradicts",
                where=url,
                hint="was this hub's disk copied or set back?",
            )
        raise TransportError(f"the witness answered {status}", where=url)

    def _again(self, url: str, submission: Submission, old: int, body: bytes) -> tuple[int, bytes]:
        """Submit from the size that the witness says it has."""
        found = _SIZE.fullmatch(body)
        if found is None:
            raise TransportError("the witness's answer names no size", where=url)
        seen = int(found[1])
        if seen == old or seen > submission.size:
            return 409, body
        return self._post(url, submission.body(seen))

    def _session(self) -> requests.Session:
        """One for each thread: connections are kept, and nothing is shared."""
        found = getattr(self._kept, "session", None)
        if not isinstance(found, requests.Session):
            found = self._kept.session = requests.Session()
        return found

    def _post(self, url: str, body: bytes) -> tuple[int, bytes]:
        deadline = time.monotonic() + self._seconds
        try:
            with self._session().post(
                f"{url.rstrip('/')}/add-checkpoint",
                data=body,
                headers={"content-type": "text/plain; charset=utf-8"},
                timeout=self._seconds,
                allow_redirects=False,
                stream=True,
            ) as answer:
                return answer.status_code, _read(answer, deadline, url)
        except requests.RequestException as error:
            raise TransportError(
                f"the witness cannot be reached ({type(error).__name__})", where=url
            ) from error


def _read(answer: requests.Response, deadline: float, url: str) -> bytes:
    """The answer's body; a few kilobytes that must not drip in for ever."""
    body = b""
    for piece in answer.iter_content(1024):
        body += piece
        if len(body) > MAX_NOTE:
            raise TransportError("the witness's answer is too long", where=url)
        if time.monotonic() > deadline:
            raise TransportError("the witness answers too slowly", where=url)
    return body


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise InputError("signature lines are UTF-8", where="witness") from error
