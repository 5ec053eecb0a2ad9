"""The truth of the samples, checked by a plain reading of the lab's and the provider's files.

The truth comes from the generator's plan. Here every exchange is compared with every row of the
lab by brute force, on the values in the files: no index, no indicator, no log reader of ours.
"""

from __future__ import annotations

import csv
import ipaddress
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from hub.errors import InputError
from hub.fingerprint import normalise, prompts

SAMPLES = Path(__file__).resolve().parents[3] / "samples"
_LATER = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Event:
    """What a log line says, with the values of the customer that it names."""

    source: str
    event_id: str
    moment: datetime
    account_id: str
    address: str | None
    prompt: str | None
    identifiers: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class LabRow:
    place: str
    first: datetime
    until: datetime
    describes: Callable[[Event], bool]


def _truth() -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads((SAMPLES / "truth.json").read_text()))


def _address(text: str) -> str | None:
    try:
        return normalise.ip(text)
    except InputError:
        return None


def _identifiers(row: dict[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(
        (kind, normalise.of_kind(kind, row[column]))
        for column, kind in normalise.COLUMN_KINDS.items()
        if row.get(column)
    )


def _customers() -> dict[str, frozenset[tuple[str, str]]]:
    with (SAMPLES / "provider" / "customers.csv").open(newline="") as file:
        return {row["account_id"]: _identifiers(row) for row in csv.DictReader(file)}


def _lines(source: str, malformed: set[tuple[str, int]]) -> Iterator[tuple[int, str]]:
    text = (SAMPLES / "provider" / source).read_text()
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        if (source, number) not in malformed:
            yield number, line


def _litellm(line: str) -> Iterator[tuple[str, datetime, str, str, str | None]]:
    entry = json.loads(line)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
        milliseconds=round(entry["startTime"] * 1000)
    )
    yield (
        entry["id"],
        moment,
        entry["metadata"]["user_api_key_user_id"],
        entry["requester_ip_address"],
        entry["messages"][0]["content"],
    )


def _otel(line: str) -> Iterator[tuple[str, datetime, str, str, str | None]]:
    for span in json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        values = {item["key"]: item["value"].get("stringValue") for item in span["attributes"]}
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
            microseconds=int(span["startTimeUnixNano"]) // 1000
        )
        messages = json.loads(values["gen_ai.input.messages"])
        yield (
            values["gen_ai.response.id"],
            moment,
            values["user.id"],
            values["client.address"],
            messages[0]["parts"][0]["content"],
        )


_COMBINED = re.compile(r"(\S+) - (\S+) \[([^]]+)\] ")


def _nginx(line: str, name: str) -> Iterator[tuple[str, datetime, str, str, str | None]]:
    found = _COMBINED.match(line)
    assert found is not None
    moment = datetime.strptime(found[3], "%d/%b/%Y:%H:%M:%S %z").astimezone(UTC)
    yield name, moment, found[2], found[1], None


def _events() -> list[Event]:
    truth = _truth()
    malformed = {(item["source"], item["line"]) for item in truth["malformed"]}
    customers = _customers()
    events = []
    for source in truth["events"]:
        for number, line in _lines(source, malformed):
            if source.endswith(".log"):
                entries = _nginx(line, f"{source}:{number}")
            else:
                entries = _litellm(line) if "litellm" in source else _otel(line)
            for event_id, moment, account, address, prompt in entries:
                events.append(
                    Event(
                        source,
                        event_id,
                        moment,
                        account,
                        _address(address),
                        prompt,
                        customers[account],
                    )
                )
    return events


def _network(text: str) -> Callable[[Event], bool]:
    network = ipaddress.ip_network(text)
    return lambda event: (
        event.address is not None and (ipaddress.ip_address(event.address) in network)
    )


def _prompt(row: dict[str, Any]) -> Callable[[Event], bool]:
    kind = row["kind"]
    if kind == "literal":
        return lambda event: event.prompt is not None and row["text"] in event.prompt
    if kind == "regex":
        pattern = re.compile(row["pattern"])
        return lambda event: event.prompt is not None and pattern.search(event.prompt) is not None
    wanted = prompts.features(row["text"])
    tests: dict[str, Callable[[prompts.PromptFeatures], bool]] = {
        "minhash-lsh": lambda f: bool(set(f.lsh_bands) & set(wanted.lsh_bands)),
        "template": lambda f: f.template_sha256 == wanted.template_sha256,
        "sha256-norm": lambda f: f.sha256_norm == wanted.sha256_norm,
    }
    compare = tests[kind]
    return lambda event: event.prompt is not None and compare(prompts.features(event.prompt))


def _account(identifiers: frozenset[tuple[str, str]]) -> Callable[[Event], bool]:
    return lambda event: bool(identifiers & event.identifiers)


def _lab_rows() -> list[LabRow]:
    truth = _truth()
    skipped = {item["row"] for item in [*truth["refused"], *truth["duplicates"]]}
    rows = []
    for name in ("accounts.csv", "proxies.csv", "prompts.jsonl"):
        text = (SAMPLES / "lab" / name).read_text()
        if name.endswith(".csv"):
            entries: list[dict[str, Any]] = list(csv.DictReader(text.splitlines()))
        else:
            entries = [json.loads(line) for line in text.splitlines()]
        for line, entry in enumerate(entries, start=2 if name.endswith(".csv") else 1):
            place = f"{name}:{line}"
            if place in skipped:
                continue
            if name == "accounts.csv":
                describes = _account(_identifiers(entry))
            else:
                describes = _network(entry["address"]) if "address" in entry else _prompt(entry)
            until = entry.get("valid_until")
            rows.append(
                LabRow(
                    place,
                    datetime.fromisoformat(entry["first_seen"]),
                    datetime.fromisoformat(until) if until else _LATER,
                    describes,
                )
            )
    return rows


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return _events()


def test_truth_is_what_a_plain_reading_of_the_files_finds(events: list[Event]) -> None:
    rows = _lab_rows()
    found = {
        (event.source, event.event_id): places
        for event in events
        if (
            places := [
                row.place
                for row in rows
                if row.first <= event.moment < row.until and row.describes(event)
            ]
        )
    }
    expected = {(item["source"], item["event_id"]): item["rows"] for item in _truth()["expected"]}
    assert found == expected


def test_event_ids_are_unique_and_counted(events: list[Event]) -> None:
    truth = _truth()
    assert len({(event.source, event.event_id) for event in events}) == len(events)
    for source, count in truth["events"].items():
        assert sum(event.source == source for event in events) == count


def test_near_misses_are_not_expected() -> None:
    truth = _truth()
    expected = {
        (item["source"], item["event_id"], row)
        for item in truth["expected"]
        for row in item["rows"]
    }
    misses = {(item["source"], item["event_id"], item["row"]) for item in truth["near_misses"]}
    assert len(misses) > 100
    assert not misses & expected


def test_prompts_lie_far_from_the_threshold(events: list[Event]) -> None:
    # A planted near duplicate shares several of the 16 bands, anything else none at all.
    lines = (SAMPLES / "lab" / "prompts.jsonl").read_text().splitlines()
    expected = {
        (item["source"], item["event_id"]): set(item["rows"]) for item in _truth()["expected"]
    }
    shared: dict[bool, list[int]] = {True: [], False: []}
    for number in (1, 3):
        wanted = set(prompts.features(json.loads(lines[number - 1])["text"]).lsh_bands)
        for event in events:
            if event.prompt is None:
                continue
            planted = f"prompts.jsonl:{number}" in expected.get((event.source, event.event_id), ())
            shared[planted].append(len(wanted & set(prompts.features(event.prompt).lsh_bands)))
    assert len(shared[True]) > 100
    assert min(shared[True]) >= 3
    assert max(shared[False]) == 0


def test_every_row_but_those_of_strangers_is_met() -> None:
    truth = _truth()
    met = {row for item in truth["expected"] for row in item["rows"]}
    unmet = {item["row"] for item in truth["rows"]} - met
    assert unmet == {f"accounts.csv:{line}" for line in range(25, 30)} | {"proxies.csv:10"}


def test_the_traps_are_there(events: list[Event]) -> None:
    truth = _truth()
    rows_of = {(item["source"], item["event_id"]): item["rows"] for item in truth["expected"]}
    raw = {
        source: dict(_lines(source, set()))
        for source in ("gateway-litellm.jsonl", "edge-nginx.log")
    }
    mapped = [
        event_id
        for (source, event_id), rows in rows_of.items()
        if source == "edge-nginx.log"
        and any(row.startswith("proxies.csv:") for row in rows)
        and raw[source][int(event_id.rpartition(":")[2])].startswith("::ffff:")
    ]
    assert len(mapped) > 10
    reasons = {item["reason"] for item in truth["near_misses"]}
    assert {"before first_seen", "after valid_until", "one above the range"} <= reasons
    # Rows that had ended long before anybody reads this still describe older events.
    assert any("proxies.csv:7" in rows for rows in rows_of.values())
    # The lab spells these three mailboxes otherwise than the customer table does.
    lab_mail = [
        line.split(",")[0] for line in (SAMPLES / "lab/accounts.csv").read_text().split("\n")
    ]
    customers = (SAMPLES / "provider" / "customers.csv").read_text()
    for line in (2, 3, 4):
        assert f",{lab_mail[line - 1]}," not in customers
        assert any(f"accounts.csv:{line}" in rows for rows in rows_of.values())


def test_every_campaign_layer_and_log_is_in_the_truth() -> None:
    truth = _truth()
    campaign = {item["row"]: item["campaign"] for item in truth["rows"]}
    seen = {
        (item["source"], campaign[row], row.partition(".")[0])
        for item in truth["expected"]
        for row in item["rows"]
    }
    for name in ("HYDRA-LANTERN", "HYDRA-COPPER"):
        assert ("edge-nginx.log", name, "proxies") in seen
        assert ("edge-nginx.log", name, "accounts") in seen
        for source in ("gateway-litellm.jsonl", "gateway-otel.jsonl"):
            assert {(source, name, layer) for layer in ("accounts", "proxies", "prompts")} <= seen
    assert not any(source == "edge-nginx.log" and layer == "prompts" for source, _, layer in seen)
