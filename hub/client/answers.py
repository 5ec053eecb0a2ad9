"""What went wrong with a request, in our own words; no answer of a server is trusted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

import requests
from taxii2client import exceptions as taxii_errors

from hub.errors import AccessError, ConflictError, TransportError

_DENIED_HINTS: Final = {
    401: "check the user name and token; `stillwatch hub token` makes a new one on the hub",
    403: "the hub's administrator grants access, or your account is not bound to your member id",
    404: "it does not exist, or this account may not see it",
}


def json_or_none(response: requests.Response) -> object:
    """The body as JSON; None when it is none."""
    try:
        body: object = response.json()
    except (ValueError, RecursionError):
        return None
    return body


def status_behind(error: Exception) -> int:
    """The HTTP status that an error of ours wraps; 0 when it wraps none."""
    response = getattr(error.__cause__, "response", None)
    return int(response.status_code) if response is not None else 0


def _detail(response: requests.Response) -> str:
    body = json_or_none(response)
    text = ""
    if isinstance(body, dict):
        text = str(body.get("description") or body.get("title") or "")
    return "".join(c for c in text[:300] if c.isprintable())


@contextlib.contextmanager
def wrapped(url: str) -> Iterator[None]:
    """Wrap the exceptions of requests and taxii2client, naming the URL without credentials."""
    try:
        yield
    except requests.exceptions.HTTPError as error:
        raise _from_status(error, url) from error
    except requests.exceptions.SSLError as error:
        raise TransportError(
            "the hub's certificate is not trusted", where=url, hint="--ca-file names a CA bundle"
        ) from error
    except requests.exceptions.Timeout as error:
        raise TransportError(
            "the hub did not answer in time", where=url, hint="run the command again; it resumes"
        ) from error
    except requests.exceptions.RequestException as error:
        raise TransportError(
            "the hub cannot be reached, or broke off",
            where=url,
            hint="is it running? run the command again; it resumes",
        ) from error
    except taxii_errors.AccessError as error:
        raise AccessError(
            "this account may not do that in this collection", where=url, hint=_DENIED_HINTS[403]
        ) from error
    except (taxii_errors.TAXIIServiceException, KeyError, TypeError, RecursionError) as error:
        raise TransportError(
            "the answer is not TAXII 2.1", where=url, hint="is this the URL of an API root?"
        ) from error


def _from_status(error: requests.exceptions.HTTPError, url: str) -> Exception:
    response = error.response
    code = response.status_code
    detail = _detail(response)
    said = f": {detail}" if detail else ""
    if code in _DENIED_HINTS:
        return AccessError(f"the hub answered {code}{said}", where=url, hint=_DENIED_HINTS[code])
    if code == 409:
        return ConflictError(f"the hub answered 409{said}", where=url)
    hint = {
        406: "the server does not speak TAXII 2.1",
        413: "the hub takes smaller requests only; its administrator sets max_content_length",
        415: "the server does not speak TAXII 2.1",
        429: "the hub asks for fewer requests; run the command again later",
        507: "the hub's disk is full; its administrator must act",
    }.get(code, "run the command again; it resumes" if code >= 500 else None)
    return TransportError(f"the hub answered {code}{said}", where=url, hint=hint)
