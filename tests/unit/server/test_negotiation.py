"""Content codings by Accept-Encoding, validators, and answers to those who hold the same bytes."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from hub.server.negotiation import coding_of, compress, entity_tag, unchanged
from hub.taxii.filters import EVERY
from tests.unit.server.harness import House, indicator


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (None, ""),
        ("", ""),
        ("identity", ""),
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("GZIP", "gzip"),
        ("gzip, deflate", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("zstd;q=0.5, gzip;q=0.9", "gzip"),
        ("zstd; q=1, gzip ; q=1", "zstd"),
        ("gzip;q=0", ""),
        ("gzip;q=0.000, zstd;q=0.001", "zstd"),
        ("*", "gzip"),
        ("*;q=0", ""),
        ("gzip;q=0, *", ""),
        ("zstd;q=0, *;q=0.1", "gzip"),
        ("identity;q=1, gzip;q=0.5", ""),
        ("identity;q=0.5, gzip", "gzip"),
        ("gzip;q=2, zstd;q=x", ""),
        ("gzip;level=9", ""),
        ("br, deflate", ""),
        (",;,gzip,", "gzip"),
    ],
)
def test_the_best_coding_that_a_client_reads(accepted: str | None, coding: str) -> None:
    assert coding_of(accepted) == coding


def test_codings_unpack_to_the_same() -> None:
    body = b"x" * 5000
    assert gzip.decompress(compress("gzip", body)) == body
    assert zstandard.ZstdDecompressor().decompress(compress("zstd", body)) == body
    assert compress("", body) == body


def test_tags_differ_by_content_coding_and_parts() -> None:
    tags = {
        entity_tag("", b"ab"),
        entity_tag("gzip", b"ab"),
        entity_tag("zstd", b"ab"),
        entity_tag("", b"a", b"b"),
        entity_tag("", b"b", b"a"),
        entity_tag("", b"ab", b""),
    }
    assert len(tags) == 6
    assert entity_tag("gzip", b"ab") in tags


@pytest.mark.parametrize(
    ("held", "same"),
    [
        (None, False),
        ('"t"', True),
        ('W/"t"', True),
        ('"a", "t"', True),
        ('"a","b"', False),
        ("*", True),
        ("t", False),
        ('"t', False),
        ('"T"', False),
    ],
)
def test_who_holds_the_same_is_told_so(held: str | None, same: bool) -> None:
    assert unchanged(held, '"t"') is same


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as made:
        yield made


def resources(collection: str) -> tuple[str, ...]:
    root = f"/stillwatch/collections/{collection}/"
    one = f"{root}objects/{indicator(1)['id']}/"
    return (
        "/taxii2/",
        "/stillwatch/",
        "/stillwatch/collections/",
        root,
        f"{root}manifest/",
        f"{root}objects/",
        one,
        f"{one}versions/",
    )


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("accepted", ["identity", "gzip", "zstd"])
def test_every_resource_is_given_once(house: House, number: int, accepted: str) -> None:
    collection = house.plain(owner="rw")
    house.post(collection, *(indicator(each) for each in range(20)))
    path, sent = resources(collection)[number], {"accept-encoding": accepted}
    full = house.ask("GET", path, headers=sent)
    tag = full.headers["etag"]
    assert full.status == 200
    assert full.headers["cache-control"] == "private, no-cache"
    assert "accept-encoding" in full.headers["vary"]
    again = house.ask("GET", path, headers={**sent, "if-none-match": tag})
    assert (again.status, again.raw) == (304, b"")
    named = {"etag", "vary", "cache-control", "x-taxii-date-added-last"} & full.headers.keys()
    assert {name: again.headers[name] for name in named} == {n: full.headers[n] for n in named}
    assert "content-length" not in again.headers
    head = house.ask("HEAD", path, headers=sent)
    ignored = {"x-request-id", "date"}
    for name in full.headers.keys() - ignored:
        assert head.headers[name] == full.headers[name], name
    assert house.ask("HEAD", path, headers={**sent, "if-none-match": tag}).status == 304
    assert house.ask("GET", path, headers={**sent, "if-none-match": '"other"'}).status == 200


def test_each_coding_has_a_tag_of_its_own(house: House) -> None:
    collection = house.plain(owner="rw")
    house.post(collection, *(indicator(each) for each in range(20)))
    path = f"/stillwatch/collections/{collection}/objects/"
    tags = {
        house.ask("GET", path, headers={"accept-encoding": each}).headers["etag"]
        for each in ("identity", "gzip", "zstd")
    }
    assert len(tags) == 3


def test_what_changes_has_another_tag(house: House) -> None:
    collection = house.plain(owner="rw")
    path = f"/stillwatch/collections/{collection}/objects/"
    seen = [house.ask("GET", path).headers["etag"]]
    house.post(collection, indicator(1))
    seen.append(house.ask("GET", path).headers["etag"])
    house.post(collection, indicator(1, modified="2026-02-01T00:00:00.000Z"))
    seen.append(house.ask("GET", path).headers["etag"])
    house.store.delete(collection, indicator(1)["id"], EVERY)
    # Stored again it is the same object with another date_added.
    house.post(collection, indicator(1))
    seen.append(house.ask("GET", path).headers["etag"])
    assert len(set(seen)) == 4


def test_rights_are_asked_before_tags(house: House) -> None:
    org = house.org("reader")
    collection = house.plain(owner="rw", reader="r")
    path = f"/stillwatch/collections/{collection}/objects/"
    tag = house.ask("GET", path, who="reader").headers["etag"]
    house.store.set_grant(collection, org.id, can_read=False, can_write=False)
    for held in (tag, "*"):
        answer = house.ask("GET", path, who="reader", headers={"if-none-match": held})
        assert answer.status == 404
        assert "etag" not in answer.headers
        assert answer.headers["cache-control"] == "no-store"


def test_posts_and_errors_are_never_kept(house: House) -> None:
    collection = house.plain(owner="rw")
    for answer in (house.post(collection, indicator(1)), house.ask("GET", "/nowhere/")):
        assert answer.headers["cache-control"] == "no-store"
        assert "etag" not in answer.headers
