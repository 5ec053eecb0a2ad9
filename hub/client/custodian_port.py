"""The port to a custodian, and its implementation over HTTP.

A custodian's answers are proven, and its refusals are a peer's words: nothing else of what it sends
is used. Requests are signed by the member's card and never sent twice, so that whatever is tried
again is a new request.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import requests
import requests.auth

from hub.channel.custodian_replies import (
    MAX_STANDING,
    Refusal,
    Standing,
    parse_refusal,
    parse_standing,
)
from hub.channel.custodians import MAX_ANSWER, Custodian
from hub.client.custodians import Way
from hub.client.session import GuardedSession
from hub.client.transport import checked_url
from hub.errors import InputError, TransportError, VerificationError
from hub.settings import ClientSettings

_OCTETS: Final = {"Content-Type": "application/octet-stream", "Accept": "*/*"}


class RefusedError(Exception):
    """A custodian refused; whoever asked turns it into an error of ours.

    Args:
        refusal: what it said.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


class CustodianPort(Protocol):
    """One custodian, as a member reaches it."""

    def evaluate(self, request: bytes) -> bytes:
        """Send a request; returns the answer, not looked at yet.

        Raises:
            RefusedError: the custodian says why.
            TransportError: no answer, or one outside the protocol.
        """
        ...

    def standing(self, channel: str) -> Standing:
        """How far the custodian knows a channel; raises as `evaluate` does."""
        ...

    def post(self, channel: str, messages: bytes) -> None:
        """Send manifest and card messages; raises as `evaluate` does."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


Reach = Callable[[Custodian, Way, ClientSettings], CustodianPort]
"""How a custodian is reached; tests give a double."""


def reach(custodian: Custodian, way: Way, settings: ClientSettings) -> CustodianPort:
    """A custodian behind HTTP; nothing is sent before the first call.

    Raises:
        InputError: its address is none, or is plain http to another machine.
    """
    try:
        url = checked_url(custodian.url, allow_plain_http=way.plain_http)
    except InputError as error:
        raise InputError(
            f"its address cannot be used: {error.message}",
            where=f"custodian {custodian.custodian_id}",
            hint="stillwatch channel custodians NAME --allow-plain-http takes http inside a "
            "network that you trust",
        ) from error
    # One attempt: what is tried again must be signed anew.
    session = GuardedSession(
        dataclasses.replace(
            settings, attempts=1, max_response_bytes=max(MAX_ANSWER, MAX_STANDING) + 1
        )
    )
    session.verify = way.ca_file or True
    session.cert = way.client_cert
    # The request is signed; without this a `.netrc` would send its password along.
    session.auth = _Nobody()
    return HttpCustodian(url, custodian.custodian_id, session)


class _Nobody(requests.auth.AuthBase):
    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        return r


class HttpCustodian:
    """`CustodianPort` over HTTP.

    Args:
        url: with a slash at its end.
        name: the custodian's id, for errors.
        session: with time-outs and caps.
    """

    def __init__(self, url: str, name: str, session: GuardedSession) -> None:
        self._url = url
        self._where = f"custodian {name}"
        self._session = session

    def evaluate(self, request: bytes) -> bytes:
        """Send a request."""
        with self._wrapped():
            response = self._session.post(f"{self._url}v1/evaluate", data=request, headers=_OCTETS)
        return self._answered(response)

    def standing(self, channel: str) -> Standing:
        """How far the custodian knows a channel."""
        with self._wrapped():
            response = self._session.get(f"{self._url}v1/channels/{channel}")
        return parse_standing(self._answered(response))

    def post(self, channel: str, messages: bytes) -> None:
        """Send manifest and card messages."""
        with self._wrapped():
            response = self._session.post(
                f"{self._url}v1/channels/{channel}/messages", data=messages, headers=_OCTETS
            )
        self._answered(response)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _answered(self, response: requests.Response) -> bytes:
        if response.status_code in (200, 201, 202, 204):
            return bytes(response.content)
        with contextlib.suppress(InputError, VerificationError):
            raise RefusedError(parse_refusal(response.content))
        raise TransportError(
            f"answered {response.status_code} in no form of a custodian's",
            where=self._where,
            hint="is its address right? ask its operator",
        )

    @contextlib.contextmanager
    def _wrapped(self) -> Iterator[None]:
        try:
            yield
        except requests.exceptions.SSLError as error:
            raise TransportError(
                "its certificate is not trusted, or it wants one of ours",
                where=self._where,
                hint="stillwatch channel custodians NAME --ca-file FILE, --client-cert FILE",
            ) from error
        except requests.exceptions.Timeout as error:
            raise TransportError("did not answer in time", where=self._where) from error
        except requests.exceptions.RequestException as error:
            raise TransportError("cannot be reached, or broke off", where=self._where) from error
