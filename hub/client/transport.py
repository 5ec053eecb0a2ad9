"""The port to a TAXII 2.1 server over `taxii2client`.

`taxii2client` has no time-outs, no retries and no size caps, and raises the exceptions of four
libraries. All of that is mended here, in the session that it sends through, so that callers see
`TransportError` and `AccessError` only.

Posting is safe to repeat: every object that we post has an id that depends on its bytes, and a
server keeps the first body of an id.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

import requests
import requests.auth
from taxii2client.common import _HTTPConnection
from taxii2client.v21 import ApiRoot, Collection, Server

from hub.channel.policy import Log
from hub.client.addresses import checked_url
from hub.client.answers import json_or_none, status_behind, wrapped
from hub.client.log_port import ChannelLog, HttpLog, offered
from hub.client.oauth import ClientCredentials, OAuthBearer, TokenCache
from hub.client.port import About, Hub, Page, PostResult, TaxiiCollection
from hub.client.reads_port import Lines, get_lines
from hub.client.session import GuardedSession
from hub.client.snapshot_port import HttpBulk
from hub.errors import AccessError, ConflictError, InputError, TransportError
from hub.model.codec import Json, dumps
from hub.settings import ClientSettings

__all__ = [
    "About",
    "HttpCollection",
    "HttpHub",
    "Hub",
    "HubAccount",
    "Page",
    "PostResult",
    "TaxiiCollection",
    "checked_url",
    "connect",
    "discover",
]


@dataclasses.dataclass(frozen=True)
class HubAccount:
    """How to reach and enter a hub.

    Attributes:
        api_root: URL of the API root.
        username: account name for HTTP Basic; None sends the token as Bearer.
        token: the secret; never shown.
        ca_file: certificate bundle to trust in place of the system's.
        allow_plain_http: take `http:` to a host that is not loopback (the token travels in clear).
        client_cert: PEM file to show to a hub that asks for a certificate: chain and key.
        oauth: an OAuth 2.0 client, whose access tokens are sent in place of `token`, which is
            then empty.
        cache: keeps that client's access token between commands.
    """

    api_root: str
    username: str | None
    token: str = dataclasses.field(repr=False)
    ca_file: str | None = None
    allow_plain_http: bool = False
    client_cert: str | None = None
    oauth: ClientCredentials | None = None
    cache: TokenCache | None = dataclasses.field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.oauth is not None:
            if self.username is not None or self.token:
                raise InputError(
                    "an OAuth client has no user name and no token of the hub",
                    where=self.api_root,
                    hint="without --username and --token-file",
                )
            return
        # Before it gets near a header: an HTTP library's complaint would show it.
        # A password of HTTP Basic is encoded, so that blanks in it do no harm.
        first = " " if self.username else "!"
        if not self.token.strip() or not all(first <= char <= "~" for char in self.token):
            raise InputError(
                "the token is not one word of visible ASCII",
                where=self.api_root,
                hint="a file that holds the token alone",
            )


class _Bearer(requests.auth.AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        r.headers["Authorization"] = f"Bearer {self._token}"
        return r


def _auth(account: HubAccount, settings: ClientSettings) -> requests.auth.AuthBase:
    if account.oauth is not None:
        return OAuthBearer(account.oauth, settings, account.cache)
    if account.username:
        return requests.auth.HTTPBasicAuth(account.username, account.token)
    return _Bearer(account.token)


def connect(account: HubAccount, settings: ClientSettings) -> Hub:
    """A hub behind HTTP; nothing is sent before the first call."""
    url = checked_url(account.api_root, allow_plain_http=account.allow_plain_http)
    session = GuardedSession(settings)
    session.verify = account.ca_file or True
    session.cert = account.client_cert
    session.auth = _auth(account, settings)
    connection = _HTTPConnection(version="2.1")
    connection.session.close()
    connection.session = session
    return HttpHub(url, connection, session, settings)


def discover(account: HubAccount, settings: ClientSettings) -> str:
    """The API root behind an address: itself, or the server's default root.

    Raises:
        TransportError: the address leads to no TAXII 2.1 server.
    """
    url = checked_url(account.api_root, allow_plain_http=account.allow_plain_http)
    path = urlsplit(url).path
    if path.rstrip("/").rsplit("/", 1)[-1] not in ("taxii2", ""):
        return url
    if path == "/":
        # Where TAXII 2.1 puts the discovery of a server (section 4.1).
        url += "taxii2/"
    hub = connect(account, settings)
    assert isinstance(hub, HttpHub)
    with contextlib.closing(hub), wrapped(url):
        server = Server(url, conn=hub.connection)
        root = server.default or (server.api_roots[0] if server.api_roots else None)
    if root is None:
        raise TransportError("the server names no API root", where=url)
    return checked_url(str(root.url), allow_plain_http=account.allow_plain_http)


class HttpHub:
    """`Hub` over taxii2client."""

    def __init__(
        self,
        api_root: str,
        connection: _HTTPConnection,
        session: GuardedSession,
        settings: ClientSettings,
    ) -> None:
        self._api_root = api_root
        self.connection = connection
        self._session = session
        self._settings = settings

    @property
    def api_root(self) -> str:
        """URL with a trailing slash."""
        return self._api_root

    def about(self) -> About | None:
        """None when the server is not a Stillwatch hub."""
        with wrapped(self._api_root):
            response = self._session.get(
                f"{self._api_root}about/", headers={"Accept": "application/json, */*;q=0.1"}
            )
            if response.status_code == 401:
                response.raise_for_status()
            body = json_or_none(response)
        if response.status_code != 200 or not isinstance(body, dict):
            return None
        protocol, time = body.get("protocol"), body.get("time")
        if body.get("software") != "stillwatch" or not isinstance(protocol, int):
            return None
        return About(protocol=protocol, time=time if isinstance(time, int) else 0)

    def collections(self) -> Sequence[TaxiiCollection]:
        """Every collection that the account sees."""
        with wrapped(self._api_root):
            found = ApiRoot(self._api_root, conn=self.connection).collections
        return [HttpCollection(each, self._session, self._settings) for each in found]

    def collection(self, collection_id: str) -> TaxiiCollection:
        """One collection; asks the hub for it."""
        url = f"{self._api_root}collections/{collection_id}/"
        with wrapped(url):
            collection = Collection(url, conn=self.connection)
            collection.refresh()
        return HttpCollection(collection, self._session, self._settings)

    def log(self, channel_id: str) -> ChannelLog:
        """The log of a channel; nothing is sent before its first call."""
        return HttpLog(self._session, f"{self._api_root}channels/{channel_id}/")

    def bulk(self, collection_id: str) -> HttpBulk:
        """Snapshot and events of a collection; nothing is sent before its first call."""
        url = f"{self._api_root}collections/{collection_id}/"
        return HttpBulk(self._session, url, self._settings)

    def audit(self, after: int, limit: int) -> Lines | None:
        """What the hub tells of this organisation out of its audit log; None: nothing."""
        return get_lines(self._session, self._api_root, after, limit)

    def challenge(self) -> str | None:
        """A challenge to bind this account to a member; None on a stock server."""
        url = f"{self._api_root}binding/challenge/"
        with wrapped(url):
            response = self._session.post(url, headers={"Accept": "application/json"})
            if response.status_code in (404, 405):
                return None
            response.raise_for_status()
            body = json_or_none(response)
        if not isinstance(body, dict) or not isinstance(body.get("challenge"), str):
            raise TransportError("the hub's challenge is not readable", where=url)
        challenge = body["challenge"]
        assert isinstance(challenge, str)
        return challenge

    def bind(self, signed: bytes) -> str:
        """Send the signed binding; returns the member id that the hub bound."""
        url = f"{self._api_root}binding/"
        with _said_to_the_operator(), wrapped(url):
            response = self._session.post(
                url,
                data=signed,
                headers={"Accept": "application/json", "Content-Type": "application/json"},
            )
            response.raise_for_status()
            body = json_or_none(response)
        if not isinstance(body, dict) or not isinstance(body.get("member"), str):
            raise TransportError("the hub's answer to the binding is not readable", where=url)
        return str(body["member"])

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


@contextlib.contextmanager
def _said_to_the_operator() -> Iterator[None]:
    """Only the hub's operator can free a key that another account holds."""
    try:
        yield
    except ConflictError as error:
        raise ConflictError(
            error.message,
            where=error.where,
            hint="was another account's token file used with this home? The hub's operator frees "
            "the key: stillwatch hub org unbind ORGANISATION",
        ) from error


class HttpCollection:
    """`TaxiiCollection` over taxii2client."""

    def __init__(
        self, collection: Collection, session: GuardedSession, settings: ClientSettings
    ) -> None:
        self._collection = collection
        self._session = session
        self._settings = settings

    @property
    def collection_id(self) -> str:
        """Identifier within the API root."""
        return str(self._collection.id)

    @property
    def title(self) -> str:
        """Title for people."""
        return str(self._collection.title)

    @property
    def can_read(self) -> bool:
        """Whether this account may read."""
        return bool(self._collection.can_read)

    @property
    def can_write(self) -> bool:
        """Whether this account may write."""
        return bool(self._collection.can_write)

    @property
    def channel_collection(self) -> str | None:
        """For a join inbox: the collection id of the channel that it belongs to."""
        for key, value in self._collection.custom_properties.items():
            if key.endswith("channel_collection") and isinstance(value, str):
                return value
        return None

    @property
    def log(self) -> Log | None:
        """For a channel's collection: the log that the hub offers to keep, to be pinned.

        Raises:
            TransportError: what it offers is no log.
        """
        value = self._collection.custom_properties.get("x_stillwatch_log")
        return offered(value, str(self._collection.url))

    def pages(self, added_after: str | None = None) -> Iterator[Page]:
        """Pages of everything added after a `date_added`, oldest first."""
        url = str(self._collection.objects_url)
        cursor: str | None = None
        newest, standing = "", 0
        while True:
            filters: dict[str, object] = {"limit": [self._settings.page_limit]}
            if added_after is not None:
                filters["added_after"] = added_after
            if cursor is not None:
                filters["next"] = cursor
            with wrapped(url):
                envelope = self._collection.get_objects(**filters)
                headers = self._session.last_headers
            page = _page(envelope, headers, url)
            yield page
            if page.next is None:
                return
            if page.next == cursor and not page.objects:
                raise TransportError("the server repeats an empty page", where=url)
            standing = 0 if (page.date_added_last or "") > newest else standing + 1
            newest = max(newest, page.date_added_last or "")
            if standing > self._settings.max_standing_pages:
                raise TransportError("the server's pages lead nowhere", where=url)
            cursor = page.next

    def get(self, object_id: str) -> Json | None:
        """One object, None when the collection does not hold it."""
        url = str(self._collection.objects_url)
        try:
            with wrapped(url):
                envelope = self._collection.get_object(object_id)
        except AccessError as error:
            if status_behind(error) == 404:
                return None
            raise
        objects = _page(envelope, {}, url).objects
        return objects[0] if objects else None

    def add(self, objects: Sequence[Json]) -> PostResult:
        """Post objects in this order and wait for the hub's verdict on each."""
        url = str(self._collection.objects_url)
        with wrapped(url):
            status = self._collection.add_objects(
                dumps({"objects": list(objects)}),
                wait_for_completion=True,
                poll_interval=1,
                timeout=self._settings.status_timeout_s,
            )
        failures = {
            str(each.get("id", "")): str(each.get("message", "refused without a reason"))[:500]
            for each in status.failures
            if isinstance(each, dict)
        }
        if status.failure_count and not failures:
            raise TransportError("the hub refused objects without naming them", where=url)
        pending = tuple(
            str(each.get("id", "")) for each in status.pendings if isinstance(each, dict)
        )
        if status.pending_count and not pending:
            pending = tuple(str(each["id"]) for each in objects)
        lost = failures.keys() | set(pending)
        accepted = tuple(str(each["id"]) for each in objects if each["id"] not in lost)
        return PostResult(accepted=accepted, failures=failures, pending=pending)

    def delete(self, object_id: str) -> None:
        """Delete one object."""
        with wrapped(str(self._collection.objects_url)):
            self._collection.delete_object(object_id)


def _page(envelope: object, headers: Mapping[str, str], url: str) -> Page:
    objects = envelope.get("objects", []) if isinstance(envelope, dict) else None
    if not isinstance(envelope, dict) or not isinstance(objects, list):
        raise TransportError("the answer is not a TAXII envelope", where=url)
    if not all(isinstance(each, dict) for each in objects):
        raise TransportError("the envelope holds something that is no object", where=url)
    cursor = envelope.get("next") if envelope.get("more") else None
    if envelope.get("more") and not isinstance(cursor, str):
        raise TransportError("the server says that there is more, without a cursor", where=url)
    dates = [
        headers[name]
        for name in ("X-TAXII-Date-Added-First", "X-TAXII-Date-Added-Last")
        if name in headers
    ]
    return Page(
        objects=objects,
        next=cursor if isinstance(cursor, str) else None,
        date_added_last=dates[-1] if dates else None,
    )
