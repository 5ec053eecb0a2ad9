"""One request to an authorisation server: bounded in time and size, no redirects."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final, Protocol

import requests

from hub.errors import TransportError

_MAX_ANSWER: Final = 256 * 1024


class Fetch(Protocol):
    """How JSON gets here from an authorisation server."""

    def __call__(
        self,
        url: str,
        *,
        seconds: float,
        form: Mapping[str, str] | None = None,
        login: tuple[str, str] | None = None,
    ) -> dict[str, Any]:
        """Ask, with a form by POST, without one by GET.

        Args:
            url: of the server.
            seconds: for the whole exchange.
            form: parameters.
            login: client id and secret, for Basic.
        Raises:
            TransportError: no answer in time, not 200, too long, or not a JSON object.
        """
        ...


def fetch(
    url: str,
    *,
    seconds: float,
    form: Mapping[str, str] | None = None,
    login: tuple[str, str] | None = None,
) -> dict[str, Any]:
    """See `Fetch`; over HTTP."""
    deadline = time.monotonic() + seconds
    try:
        with requests.Session() as session:
            # Neither proxies of the environment nor a .netrc have a say in who logs in.
            session.trust_env = False
            with session.request(
                "GET" if form is None else "POST",
                url,
                data=None if form is None else dict(form),
                auth=login,
                headers={"accept": "application/json"},
                timeout=seconds,
                allow_redirects=False,
                stream=True,
            ) as answer:
                if answer.status_code != 200:
                    raise TransportError(f"the issuer answered {answer.status_code}", where=url)
                found = json.loads(_read(answer, deadline, url))
    except requests.RequestException as error:
        raise TransportError(
            f"the issuer cannot be reached ({type(error).__name__})", where=url
        ) from error
    except (ValueError, RecursionError) as error:
        raise TransportError("the issuer's answer is not JSON", where=url) from error
    if not isinstance(found, dict):
        raise TransportError("the issuer's answer is no JSON object", where=url)
    return found


def _read(answer: requests.Response, deadline: float, url: str) -> bytes:
    body = b""
    for piece in answer.iter_content(8192):
        body += piece
        if len(body) > _MAX_ANSWER:
            raise TransportError("the issuer's answer is too long", where=url)
        if time.monotonic() > deadline:
            raise TransportError("the issuer answers too slowly", where=url)
    return body
