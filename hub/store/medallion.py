"""medallion's `Backend` over a hub's store, for sites that run medallion already.

Its configuration (medallion's JSON file):

    {"users": {"name": "password"},
     "taxii": {"max_page_size": 1000},
     "backend": {"module": "hub.store.medallion", "module_class": "HubBackend",
                 "path": "hub.db", "org": "Example Lab", "api_root": "stillwatch",
                 "title": "Example hub", "max_content_length": 10485760}}

Of a hub on PostgreSQL, `"database": URL, "token_key": FILE` stand in place of `path`.

All of medallion's users act as the one organisation `org`: medallion tells its backend nothing
of who asks. It sees the collections that `org` owns or was granted. Channel collections and
inboxes are given read-only, because only the hub's own server checks protocol messages. Clearances
and ceilings hold as they do there. A government reads its own collections only: nobody could be
told here of what it reads of others.

What medallion itself does, whatever its backend:

- it parses and re-writes JSON: objects keep their values but not their bytes or order of keys,
  and of a repeated key or parameter one value survives;
- it wants `Accept` to be exactly `application/taxii+json` with version 2.1 (no q-values, no
  `*/*`) and paths to end in a slash;
- without `users` in the configuration it lets in the user "user" with the password "pass".

Source: medallion 3.0.0, `medallion/backends/base.py`.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from medallion.exceptions import BackendError, ProcessingError

from hub.errors import InputError, StoreError
from hub.model import codec
from hub.store.ceiling import beneath
from hub.store.interface import Store
from hub.store.objects import new_object
from hub.store.opening import StoreTarget, open_store
from hub.store.records import (
    Appended,
    Batch,
    Collection,
    Entry,
    Grant,
    Kind,
    NewObject,
    Org,
    Page,
    Row,
    StatusRecord,
)
from hub.taxii import filters, wire
from hub.taxii.filters import Filters
from hub.taxii.media import object_media_type
from hub.taxii.times import to_text

Json = dict[str, Any]
Answer = tuple[Json, dict[str, str]]

_MAX_CONTENT_LENGTH: Final = 10 * 1024 * 1024
# A status names the version of each object; one refused for lack of a readable one has none.
_NO_VERSION: Final = "1970-01-01T00:00:00.000Z"


class HubBackend:
    """One API root over one hub's store; medallion calls it from several threads.

    Args:
        path: the hub's database file.
        database: the URL of the hub's PostgreSQL database instead.
        token_key: beside `database`, the file of its token key.
        org: id or name of the organisation that medallion's users act as.
        api_root: the API root's name in URLs.
        title: of the server and the API root.
        max_content_length: of a posted body, in bytes.
        settings: what else stands in medallion's configuration of its backend; not looked at.
    """

    def __init__(
        self,
        *,
        path: str | None = None,
        database: str | None = None,
        token_key: str | None = None,
        org: str,
        api_root: str = "stillwatch",
        title: str = "Stillwatch",
        max_content_length: int = _MAX_CONTENT_LENGTH,
        **settings: object,
    ) -> None:
        self._target = StoreTarget(
            path=None if path is None else Path(path),
            url=database,
            token_key=None if token_key is None else Path(token_key),
        )
        self._org_name = org
        self._api_root = api_root
        self._title = title
        self._max_content_length = max_content_length
        self._lock = threading.Lock()
        self._opened: Store | None = None

    def server_discovery(self) -> Json:
        """Section 4.1."""
        root = f"/{self._api_root}/"
        return _builtins(wire.Discovery(self._title, default=root, api_roots=[root]))

    def get_api_root_information(self, api_root: str) -> Json | None:
        """Section 4.2; None makes medallion answer 404."""
        if api_root != self._api_root:
            return None
        return _builtins(wire.ApiRoot(self._title, self._max_content_length))

    def get_collections(self, api_root: str) -> Json | None:
        """Section 5.1."""
        if api_root != self._api_root:
            return None
        with _translated():
            store, org = self._store_and_org()
            shown = [self._shown(store, org, found) for found in store.collections()]
        visible = [collection for collection in shown if collection is not None]
        return {"collections": visible} if visible else {}

    def get_collection(self, api_root: str, collection_id: str) -> Json | None:
        """Section 5.2."""
        if api_root != self._api_root:
            return None
        with _translated():
            store, org = self._store_and_org()
            found = store.collection(collection_id)
            return None if found is None else self._shown(store, org, found)

    def get_object_manifest(
        self,
        api_root: str,
        collection_id: str,
        filter_args: Mapping[str, str],
        allowed_filters: Sequence[str],
        limit: int,
    ) -> Answer:
        """Section 5.3."""
        with _translated():
            store, found = self._known(collection_id)
            wanted = _filters(filter_args, filters.ALL_FILTERS)
            page = store.manifest(found, wanted, limit)
        records = [
            {
                "id": entry.id,
                "date_added": to_text(entry.date_added),
                "version": entry.version,
                "media_type": object_media_type(entry.spec_version),
            }
            for entry in page.rows
        ]
        return _resource("objects", records, page), _headers(page)

    def get_objects(
        self,
        api_root: str,
        collection_id: str,
        filter_args: Mapping[str, str],
        allowed_filters: Sequence[str],
        limit: int,
    ) -> Answer:
        """Section 5.4."""
        with _translated():
            store, found = self._known(collection_id)
            page = store.page(found, _filters(filter_args, filters.ALL_FILTERS), limit)
        return _envelope(page)

    def get_object(
        self,
        api_root: str,
        collection_id: str,
        object_id: str,
        filter_args: Mapping[str, str],
        allowed_filters: Sequence[str],
        limit: int,
    ) -> Answer:
        """Section 5.6."""
        with _translated():
            store, found = self._known(collection_id)
            _require_object(store, found, object_id)
            wanted = _filters(filter_args, filters.OBJECT_FILTERS).for_object(object_id)
            page = store.page(found, wanted, limit)
        return _envelope(page)

    def get_object_versions(
        self,
        api_root: str,
        collection_id: str,
        object_id: str,
        filter_args: Mapping[str, str],
        allowed_filters: Sequence[str],
        limit: int,
    ) -> Answer:
        """Section 5.8."""
        with _translated():
            store, found = self._known(collection_id)
            _require_object(store, found, object_id)
            wanted = _filters(filter_args, filters.VERSIONS_FILTERS)
            page = store.versions(found, object_id, wanted, limit)
        listed = list(dict.fromkeys(entry.version for entry in page.rows))
        return _resource("versions", listed, page), _headers(page)

    def delete_object(
        self,
        api_root: str,
        collection_id: str,
        object_id: str,
        filter_args: Mapping[str, str],
        allowed_filters: Sequence[str],
    ) -> None:
        """Section 5.7: every version, unless match[version] says which."""
        with _translated():
            store, found = self._known(collection_id)
            wanted = filters.parse(
                filter_args.items(),
                allowed=filters.DELETE_FILTERS,
                default_versions=filters.EVERY,
            )
            gone = store.delete(found, object_id, wanted.versions, wanted.spec_versions)
        if not gone:
            raise ProcessingError("Object not found", 404)

    def add_objects(
        self, api_root: str, collection_id: str, objs: Any, request_time: datetime
    ) -> Json:
        """Section 5.5: stored before the answer; an object that cannot be is a failure."""
        posted = objs.get("objects") if isinstance(objs, dict) else None
        if not isinstance(posted, list) or not posted:
            raise ProcessingError("The body is not an envelope with objects", 422)
        accepted, failures = _read_objects(posted)
        with _translated():
            store, found = self._known(collection_id)
            _, org = self._store_and_org()
            answer = wire.Status(str(uuid.uuid4()), "complete", 0, 0, 0, 0)
            answer.request_timestamp = to_text(int(request_time.timestamp() * 1_000_000))

            def record(fates: Sequence[Appended]) -> StatusRecord:
                _fill(answer, fates, [*failures, *higher])
                seconds = int(request_time.timestamp())
                return StatusRecord(answer.id, found, org.id, seconds, wire.encode(answer))

            with store.appending([found]) as appending:
                # Read under the collection's lock, as it may have been lowered just now.
                held, higher = _beneath(store.collection(found), accepted)
                appending.append(Batch(found, held, record))
        return _builtins(answer)

    def get_status(self, api_root: str, status_id: str) -> Json | None:
        """Section 4.3: statuses of this organisation's own posts."""
        if api_root != self._api_root:
            return None
        with _translated():
            store, org = self._store_and_org()
            found = store.get_status(status_id)
        if found is None or found.org_id != org.id:
            return None
        answer: Json = json.loads(found.raw)
        return answer

    def _store_and_org(self) -> tuple[Store, Org]:
        # Opened at the first request: a constructor does no I/O, and medallion may fork.
        with self._lock:
            if self._opened is None:
                self._opened = open_store(self._target)
            store = self._opened
        org = store.org(self._org_name)
        if org is None or org.disabled:
            raise StoreError("the organisation of the configuration is unknown or disabled")
        return store, org

    def _known(self, id_or_alias: str) -> tuple[Store, str]:
        # medallion asks get_collection first; this only resolves an alias.
        store, _ = self._store_and_org()
        found = store.collection(id_or_alias)
        if found is None:
            raise InputError("there is no such collection")
        return store, found.id

    def _shown(self, store: Store, org: Org, found: Collection) -> Json | None:
        grant = store.grant(found.id, org.id)
        own = found.owner_org == org.id
        can_read = own or _may_read(found, org, grant)
        can_write = own or (grant is not None and grant.can_write)
        if not can_read and not can_write:
            return None
        return _builtins(
            wire.Collection(
                id=found.id,
                title=found.title,
                description=found.description,
                alias=found.alias,
                can_read=can_read,
                can_write=can_write and found.kind is Kind.PLAIN,
            )
        )


def _may_read(found: Collection, org: Org, grant: Grant | None) -> bool:
    if grant is None or not grant.can_read or org.government:
        return False
    reach, ceiling = grant.clearance, found.ceiling
    return reach is None or (ceiling is not None and ceiling <= reach)


def _beneath(
    found: Collection | None, items: Sequence[NewObject]
) -> tuple[list[NewObject], list[wire.StatusDetails]]:
    """Objects that a collection's ceiling lets in, and what is said of the others."""
    ceiling = None if found is None else found.ceiling
    if ceiling is None:
        return list(items), []
    held = [item for item in items if beneath(item.raw, ceiling)]
    kept = set(map(id, held))
    reason = f"marked higher than {ceiling.label}, which this collection holds at most"
    return held, [
        wire.StatusDetails(item.id, item.version or _NO_VERSION, reason)
        for item in items
        if id(item) not in kept
    ]


def _filters(filter_args: Mapping[str, str], allowed: frozenset[str]) -> Filters:
    return filters.parse(filter_args.items(), allowed=allowed)


def _require_object(store: Store, collection_id: str, object_id: str) -> None:
    if not store.has_object(collection_id, object_id):
        raise ProcessingError("Object not found", 404)


def _read_objects(posted: Sequence[Any]) -> tuple[list[NewObject], list[wire.StatusDetails]]:
    accepted: list[NewObject] = []
    failures: list[wire.StatusDetails] = []
    for index, obj in enumerate(posted):
        try:
            if not isinstance(obj, dict):
                raise InputError("not an object", where=f"objects[{index}]")
            accepted.append(new_object(obj, codec.dumps(obj)))
        except InputError as error:
            known = obj.get("id") if isinstance(obj, dict) else None
            failures.append(
                wire.StatusDetails(
                    id=known if isinstance(known, str) else f"objects[{index}]",
                    version=_NO_VERSION,
                    message=str(error),
                )
            )
    return accepted, failures


def _fill(
    answer: wire.Status, fates: Sequence[Appended], refused: Sequence[wire.StatusDetails]
) -> None:
    successes = [wire.StatusDetails(fate.id, fate.version) for fate in fates if fate.ok]
    failures = [
        wire.StatusDetails(fate.id, fate.version, "another body is stored for this version")
        for fate in fates
        if not fate.ok
    ]
    failures.extend(refused)
    answer.total_count = len(successes) + len(failures)
    answer.success_count = len(successes)
    answer.failure_count = len(failures)
    answer.successes = successes or None
    answer.failures = failures or None


def _envelope(page: Page[Row]) -> Answer:
    return _resource("objects", [json.loads(row.raw) for row in page.rows], page), _headers(page)


def _resource(name: str, items: Sequence[object], page: Page[Any]) -> Json:
    if not items:
        return {}
    # A manifest and a list of versions have no `next` in the standard; see `wire.Manifest`.
    following = {} if page.next is None else {"next": page.next}
    return {"more": page.more, **following, name: list(items)}


def _headers(page: Page[Row] | Page[Entry]) -> dict[str, str]:
    if page.first_added is None or page.last_added is None:
        return {}
    return {
        "X-TAXII-Date-Added-First": page.first_added,
        "X-TAXII-Date-Added-Last": page.last_added,
    }


def _builtins(resource: msgspec.Struct) -> Json:
    built: Json = json.loads(wire.encode(resource))
    return built


@contextmanager
def _translated() -> Iterator[None]:
    """Our errors as medallion's, which it answers with the status given."""
    try:
        yield
    except InputError as error:
        raise ProcessingError(str(error), 400) from error
    except StoreError as error:
        raise BackendError(str(error), 503) from error
