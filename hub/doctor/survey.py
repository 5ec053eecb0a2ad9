"""Find out what an address is, and read a collection with care.

What is found here is what every client is then held against.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from hub.doctor.envelope import Item, Key
from hub.doctor.findings import Finding, GivesUpError, Severity
from hub.doctor.line import Budget, Credential, Line, same_host
from hub.doctor.profile import Auth, Client, Cursor, Form, GoesOn, Paging, Without
from hub.doctor.pull import Asked, End, Pull, pull
from hub.doctor.wire import Ask
from hub.errors import InputError
from hub.model.codec import Json
from hub.taxii.times import to_micros

SERVER: Final = "server"
_PAGE: Final = 500
_COLLECTION: Final = re.compile(r"(.*/)collections/(?:([^/]+)/(?:(?:objects|manifest)/?)?)?")

CAREFUL: Final = Paging(
    limit=_PAGE,
    goes_on=GoesOn.BOTH,
    without_next=Without.CURSOR,
    carries=frozenset({"limit", "added_after"}),
    cursor=Cursor.DATE_ADDED_LAST,
    form=Form.VERBATIM,
)
READER: Final = Client(
    name="reader",
    title="the careful reader",
    user_agent="stillwatch-doctor",
    steps=(),
    auth=(Auth.BASIC, Auth.BEARER, Auth.TOKEN, Auth.HEADER),
    paging=CAREFUL,
)


@dataclass(frozen=True)
class Collection:
    """A collection resource, as far as clients look at it."""

    id: str
    title: str
    can_read: bool
    can_write: bool


@dataclass
class Truth:
    """What a collection holds, by careful reading.

    Args:
        items: in the order of their coming, with their date_added where the manifest gave it.
        whole: whether the reader came to the end.
    """

    items: list[Item] = field(default_factory=list)
    whole: bool = True

    @property
    def added(self) -> dict[Key, int]:
        """date_added in microseconds, where known."""
        return {item.key: at for item in self.items if (at := micros(item.date_added)) is not None}


@dataclass(frozen=True)
class Site:
    """A server, one of its API roots, one of its collections."""

    given: str
    root: str
    discovery: str
    collection: Collection
    truth: Truth

    @property
    def collections_url(self) -> str:
        """The list of collections."""
        return f"{self.root}collections/"

    @property
    def collection_url(self) -> str:
        """The collection resource."""
        return f"{self.root}collections/{quote(self.collection.id)}/"

    @property
    def objects_url(self) -> str:
        """The collection's objects."""
        return f"{self.collection_url}objects/"


def micros(text: str) -> int | None:
    """A time in microseconds; None when it is none."""
    try:
        return to_micros(text)
    except InputError:
        return None


def careful(ask: Ask, credential: Credential, budget: Budget, form: Auth | None = None) -> Line:
    """A line with good manners.

    Args:
        form: how to send the credential; None takes the form that was most likely meant.
    """
    reader = READER if form is None else dataclasses.replace(READER, auth=(form,))
    return Line(ask, reader, SERVER, credential, budget)


def locate(line: Line, url: str, wanted: str | None) -> tuple[str, str]:
    """The API root behind an address, and the id of a collection in it.

    Args:
        url: a server, a discovery address, an API root, a collection or its objects.
        wanted: id or title of a collection; None leaves the choice.
    Raises:
        GivesUpError: nothing of TAXII 2.1 is there.
    """
    found = _COLLECTION.fullmatch(urlsplit(url).path)
    if found is not None:
        root = urljoin(url, found.group(1))
        wanted = wanted or found.group(2)
    else:
        root = _root_behind(line, url)
    return root, _chosen(line, _listed(line, root), wanted)


def _root_behind(line: Line, url: str) -> str:
    url = url if url.endswith("/") else url + "/"
    if urlsplit(url).path == "/":
        url += "taxii2/"
    body, _ = line.json(url)
    roots = body.get("api_roots")
    if not isinstance(roots, list):
        if "versions" in body or "max_content_length" in body:
            return url
        if "title" in body:
            raise line.ended("no-roots", line.last)
        raise line.ended("not-taxii", line.last)
    default = body.get("default")
    named = [one for one in [default, *roots] if isinstance(one, str)]
    if not named:
        raise line.ended("no-roots", line.last)
    for one in named:
        whole = urljoin(url, one)
        if same_host(url, whole):
            return whole if whole.endswith("/") else whole + "/"
    raise line.ended("root-elsewhere", line.last, line.shown.text(named[0]))


def _listed(line: Line, root: str) -> list[Json]:
    body, _ = line.json(f"{root}collections/")
    listed = body.get("collections", [])
    if not isinstance(listed, list):
        raise line.ended("unreadable", line.last, "`collections` is no list")
    return [one for one in listed if isinstance(one, dict) and isinstance(one.get("id"), str)]


def _chosen(line: Line, listed: list[Json], wanted: str | None) -> str:
    if wanted is None:
        readable = [one for one in listed if one.get("can_read") is True]
        if not readable:
            raise line.ended("collection-missing", line.last, "no collection can be read")
        return str(readable[0]["id"])
    for one in listed:
        if wanted in (one["id"], one.get("title"), one.get("alias")):
            return str(one["id"])
    # A server need not list what it lets its members read.
    return wanted


def read_truth(line: Line, collection_url: str, pages: int) -> Truth:
    """Read the objects and the manifest, and join them.

    Args:
        pages: most pages of each.
    """
    asked = Asked(limit=_PAGE, pages=pages)
    objects = pull(line, CAREFUL, f"{collection_url}objects/", asked)
    manifest = _manifest(line, collection_url, asked)
    stamps = {item.key: item.date_added for item in manifest.items}
    by_id = {item.key.id: item.date_added for item in manifest.items}
    items: dict[Key, Item] = {}
    for item in objects.items:
        added = stamps.get(item.key) or by_id.get(item.key.id, "")
        items.setdefault(item.key, dataclasses.replace(item, date_added=added))
    hidden = [item for item in manifest.items if item.key.id not in objects.ids]
    if hidden and objects.end is End.WHOLE:
        example = line.shown.text(hidden[0].key.id)
        said = f"{len(hidden)} in the manifest only, such as {example}"
        line.note("hidden", Severity.LOSES, said, *manifest.said)
        items |= {item.key: item for item in hidden}
    return Truth(list(items.values()), whole=objects.end is End.WHOLE)


def _manifest(line: Line, collection_url: str, asked: Asked) -> Pull:
    try:
        return pull(line, CAREFUL, f"{collection_url}manifest/", asked)
    except GivesUpError as error:
        line.note("manifest", Severity.WORKS, *error.finding.evidence)
        return Pull(end=End.CUT)


def survey(line: Line, url: str, wanted: str | None, *, pages: int) -> Site:
    """Everything that the clients are then held against.

    Args:
        pages: most pages of objects and of the manifest; 0 leaves them unread.
    Raises:
        GivesUpError: the server cannot be read at all.
    """
    root, id_ = locate(line, url, wanted)
    url_of = f"{root}collections/{quote(id_)}/"
    body, _ = line.json(url_of)
    collection = Collection(
        id=id_,
        title=str(body.get("title", "")),
        can_read=body.get("can_read") is True,
        can_write=body.get("can_write") is True,
    )
    reads = pages and collection.can_read
    truth = read_truth(line, url_of, pages) if reads else Truth()
    return Site(
        given=url,
        root=root,
        discovery=urljoin(root, "/taxii2/"),
        collection=collection,
        truth=truth,
    )


def judge_truth(line: Line, truth: Truth) -> list[Finding]:
    """What harms whoever relies on the order and the stamps of a collection."""
    if not truth.items:
        line.note("nothing-to-read", Severity.WORKS)
    if not truth.whole:
        line.note("read-part", Severity.WORKS, f"{len(truth.items)} objects read")
    added = truth.added
    stamps = [added[item.key] for item in truth.items if item.key in added]
    if any(left > right for left, right in itertools.pairwise(stamps)):
        line.note("order", Severity.LOSES, f"{len(stamps)} objects compared with the manifest")
    shared = len(stamps) - len(set(stamps))
    if shared:
        line.note("equal-stamps", Severity.WORKS, f"{shared} of {len(stamps)} share theirs")
    return line.findings
