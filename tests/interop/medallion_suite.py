"""What medallion's own backend tests expect, asked of the hub over HTTP.

medallion 3.0.0 tests its backends with 73 functions that take its `backend` fixture, through
Flask's test client (oasis-open/cti-taxii-server, `medallion/test/test_backends.py`; the released
packages hold no tests). Their expectations are written down here again, under the original names,
over the same ids, versions and `date_added`; the contents are our own.

Source: medallion 3.0.0, BSD 3-Clause, OASIS Open.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hub.model import codec
from hub.store.objects import new_object
from hub.store.records import Appended, Batch, Kind, StatusRecord
from hub.store.sqlite import SqliteStore
from hub.taxii.times import to_micros

RELATIONSHIP = "relationship--2f9a9aa9-108a-4333-83e2-4fb25add0463"
HASH = "indicator--cd981c25-8042-4166-8945-51178443bdac"
SITE = "indicator--6770298f-0fd8-471a-ab8c-1c658a46574e"
MARKING = "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"
MALWARE = "malware--c0931cc6-c75e-47e5-9036-78fabc95d4ec"
STATUS = "2d086da7-4bdc-4f91-900e-d77486753710"
UNKNOWN = "12345678-1234-1234-1234-123456789012"

SITE_VERSIONS = (
    "2016-11-03T12:30:59.000Z",
    "2016-12-25T12:30:59.444Z",
    "2017-01-27T13:49:53.935Z",
)
SITE_ADDED = (
    "2016-11-03T12:30:59.001000Z",
    "2016-12-27T13:49:59.000000Z",
    "2017-12-31T13:49:53.935000Z",
)
OLD_MALWARE, NEW_MALWARE = "2017-01-27T13:49:53.997Z", "2018-02-23T18:30:00.000Z"
FIRST_ADDED = "2014-05-08T09:00:00.000000Z"
MARKING_ADDED = "2017-01-20T00:00:00.000000Z"
MALWARE_ADDED = "2017-01-27T13:49:59.997000Z"

# date_added, id, created, modified, specification version
_SEED = (
    (FIRST_ADDED, RELATIONSHIP, "2014-05-08T09:00:00.000Z", "2014-05-08T09:00:00.000Z", "2.1"),
    (
        "2016-11-01T03:04:05.000000Z",
        HASH,
        "2014-05-08T09:00:00.000Z",
        "2014-05-08T09:00:00.000Z",
        "2.1",
    ),
    (SITE_ADDED[0], SITE, SITE_VERSIONS[0], SITE_VERSIONS[0], "2.1"),
    (SITE_ADDED[1], SITE, SITE_VERSIONS[0], SITE_VERSIONS[1], "2.1"),
    (MARKING_ADDED, MARKING, "2017-01-20T00:00:00.000Z", None, "2.1"),
    (MALWARE_ADDED, MALWARE, OLD_MALWARE, OLD_MALWARE, "2.1"),
    # The same date_added there; here it is unique, so one microsecond later.
    (MALWARE_ADDED, MALWARE, OLD_MALWARE, NEW_MALWARE, "2.0"),
    (SITE_ADDED[2], SITE, SITE_VERSIONS[0], SITE_VERSIONS[2], "2.1"),
)


@dataclass
class _Clock:
    """A wall clock that is set, and a steady one that follows it."""

    micros: int = 0

    def wall(self) -> int:
        return self.micros

    def steady(self) -> float:
        return self.micros / 1e6


def seed(data: Path) -> None:
    """Make the data directory of a development hub with what medallion's tests start from."""
    clock = _Clock()
    store = SqliteStore.open(data / "hub.db", clock=clock.wall, steady=clock.steady)
    try:
        account, owner = store.create_org("dev"), store.create_org("dev-owner")
        made = {}
        for name, rights in {"full": "rw", "added": "rw", "ro": "r", "wo": "w", "na": ""}.items():
            one = store.create_collection(Kind.PLAIN, name, owner_org=owner.id)
            made[name] = one.id
            if rights:
                store.set_grant(one.id, account.id, can_read="r" in rights, can_write="w" in rights)
        token = store.create_token(account.id, name="dev").secret
        for row in _SEED:
            clock.micros = to_micros(row[0])
            raw = codec.dumps(_seeded(*row[1:]))
            store.append(made["full"], [new_object(json.loads(raw), raw)])
        kept = StatusRecord(STATUS, made["full"], account.id, int(time.time()), _status())

        def status(appended: Sequence[Appended]) -> StatusRecord:
            assert not appended
            return kept

        store.append_batches([Batch(made["full"], [], status)])
    finally:
        store.close()
    line = {"user": "dev", "token": token, "collections": made}
    (data / "dev.json").write_text(json.dumps(line), encoding="utf-8")


def _seeded(object_id: str, created: str, modified: str | None, spec: str) -> dict[str, Any]:
    made: dict[str, Any] = {"type": object_id.split("--")[0], "id": object_id, "created": created}
    if modified is not None:
        made["modified"] = modified
    if spec == "2.1":
        made["spec_version"] = spec
    return made


def _status() -> bytes:
    """A status with an object of each fate."""
    fate = {"id": HASH, "version": "2014-05-08T09:00:00.000Z"}
    status = {
        "id": STATUS,
        "status": "pending",
        "request_timestamp": "2016-11-02T12:34:34.123456Z",
        "total_count": 3,
        **{f"{name}_count": 1 for name in ("success", "failure", "pending")},
        **{name: [fate] for name in ("successes", "failures", "pendings")},
    }
    return json.dumps(status).encode()


@dataclass(frozen=True)
class Read:
    """One of the original tests that is a single GET.

    Args:
        place: below the collection: objects, manifest, an object's id, or its versions.
        query: as the original sends it.
        found: ids (for `versions`: versions) in order; None where only their number is expected.
        number: how many.
        versions: of the objects found, in order, where the original looks at them.
        added: X-TAXII-Date-Added-First and -Last, where it looks at them.
        spec: the specification version that all of them must have.
        empty: the answer is `{}`.
    """

    place: str
    query: str = ""
    found: tuple[str, ...] | None = None
    number: int | None = None
    versions: tuple[str, ...] | None = None
    added: tuple[str, str] | None = None
    spec: str | None = None
    empty: bool = False
    holds: dict[str, str] = field(default_factory=dict)
    """id -> the version in which it must be found, if it is."""


_ORDER = (RELATIONSHIP, HASH, MARKING, MALWARE, SITE)
_WHOLE = (FIRST_ADDED, SITE_ADDED[2])
_SECOND = "match[version]=2016-12-25T12:30:59.444Z"

READS: dict[str, Read] = {
    "test_get_objects": Read("objects", found=_ORDER, added=_WHOLE),
    "test_get_object": Read(MALWARE, found=(MALWARE,), added=(MALWARE_ADDED, MALWARE_ADDED)),
    "test_get_object_manifests": Read("manifest", number=5, added=_WHOLE),
    "test_get_version": Read(
        f"{RELATIONSHIP}/versions", number=1, added=(FIRST_ADDED, FIRST_ADDED)
    ),
    "test_get_objects_added_after": Read("objects", "added_after=2016-11-03T12:30:59Z", number=3),
    "test_get_objects_id": Read("objects", f"match[id]={MALWARE}", found=(MALWARE,)),
    "test_get_objects_type": Read("objects", "match[type]=indicator", found=(HASH, SITE)),
    "test_objects_version_match_specific_date": Read("objects", _SECOND, found=(SITE,)),
    "test_objects_version_match_first": Read(
        "objects", "match[version]=first", holds={SITE: SITE_VERSIONS[0], MALWARE: OLD_MALWARE}
    ),
    "test_objects_version_match_last": Read(
        "objects", "match[version]=last", holds={SITE: SITE_VERSIONS[2]}
    ),
    "test_objects_version_match_all": Read("objects", "match[version]=all", number=7),
    "test_get_objects_spec_version_20": Read(
        "objects", "match[spec_version]=2.0", number=1, spec="2.0"
    ),
    "test_get_objects_spec_version_21_20": Read("objects", "match[spec_version]=2.0,2.1", number=5),
    "test_get_objects_spec_version_21": Read(
        "objects", "match[spec_version]=2.1", number=5, spec="2.1"
    ),
    "test_get_objects_spec_version_default": Read("objects", number=5, spec="2.1"),
    "test_get_object_added_after_case1": Read(
        MALWARE, "added_after=2018-01-27T13:49:59.997000Z", empty=True
    ),
    "test_get_object_added_after_case2": Read(
        MALWARE, "added_after=2017-01-27T13:49:59Z", number=1
    ),
    "test_get_object_version_match_all": Read(SITE, "match[version]=all", number=3),
    "test_get_object_spec_version_20": Read(
        MALWARE, "match[spec_version]=2.0", number=1, spec="2.0"
    ),
    "test_get_object_spec_version_21": Read(
        MALWARE, "match[spec_version]=2.1", number=1, spec="2.1"
    ),
    "test_get_object_spec_version_2021": Read(
        MALWARE, "match[spec_version]=2.0,2.1", versions=(NEW_MALWARE,)
    ),
    "test_get_object_spec_version_default": Read(MALWARE, number=1, spec="2.1"),
    "test_get_manifest_added_after": Read(
        "manifest", "added_after=2017-01-20T00:00:00.000Z", number=2
    ),
    "test_get_manifest_id": Read("manifest", f"match[id]={MALWARE}", found=(MALWARE,)),
    "test_get_manifest_type": Read("manifest", "match[type]=indicator", found=(HASH, SITE)),
    "test_get_manifest_version_specific": Read(
        "manifest", _SECOND, found=(SITE,), versions=(SITE_VERSIONS[1],)
    ),
    "test_get_manifest_version_first": Read(
        "manifest", "match[version]=first", number=5, holds={SITE: SITE_VERSIONS[0]}
    ),
    "test_get_manifest_version_last": Read(
        "manifest", "match[version]=last", number=5, holds={SITE: SITE_VERSIONS[2]}
    ),
    "test_get_manifest_version_all": Read("manifest", "match[version]=all", number=7),
    "test_manifest_spec_version_20": Read(
        "manifest", "match[spec_version]=2.0", number=1, spec="2.0"
    ),
    "test_manifest_spec_version_21": Read(
        "manifest", "match[spec_version]=2.1", number=5, spec="2.1"
    ),
    "test_manifest_spec_version_2021": Read(
        "manifest", "match[spec_version]=2.0,2.1", number=5, holds={MALWARE: NEW_MALWARE}
    ),
    "test_manifest_spec_version_default": Read("manifest", number=5, spec="2.1"),
    "test_get_version_spec_version_20": Read(
        f"{MALWARE}/versions", "match[spec_version]=2.0", found=(NEW_MALWARE,)
    ),
    "test_get_version_spec_version_21": Read(
        f"{MALWARE}/versions", "match[spec_version]=2.1", found=(OLD_MALWARE,)
    ),
    "test_get_version_spec_version_2021": Read(
        f"{MALWARE}/versions", "match[spec_version]=2.0,2.1", number=2
    ),
    "test_get_version_spec_version_default": Read(f"{MALWARE}/versions", found=(OLD_MALWARE,)),
    "test_get_objects_match_type_version": Read(
        "objects", "match[type]=incident&match[version]=2016-01-01T01:01:01.000Z"
    ),
    "test_get_objects_match_type_spec_version": Read(
        "objects", "match[type]=indicator&match[spec_version]=2.1"
    ),
}
"""Original test -> what it asks and expects."""

ADAPTED: dict[str, str] = {
    "test_server_discovery": "the API root's URL is this hub's own",
    "test_get_api_root_information": "the title is this hub's own",
    "test_get_collections": "the collection without any right is hidden: four of the five",
    "test_get_object_manifest_403": "held to a write-only collection; without any right it is 404",
    "test_get_object_403": "held to a write-only collection; without any right it is 404",
    "test_get_or_add_objects_422": "the wording of the message is this hub's own",
    "test_object_already_present": "the same body again succeeds; another body of a stored version "
    "is a failure, which the original takes for a success",
    "test_object_pagination_changing_params_400": "`next` is a place in the collection, good with "
    "any filter; the original refuses other filters than those of the first page",
}
"""Held with a difference that the standard allows -> which."""

IMPOSSIBLE: dict[str, str] = {
    "test_save_to_file": "calls a Python method of medallion's memory backend",
}
"""What cannot be asked over HTTP -> why. The six tests of medallion's configuration defaults take
no backend and are not among the 73."""
