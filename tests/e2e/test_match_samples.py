"""`stillwatch match` on the committed samples: the planted truth, no more and no less.

The lab's rows become indicators as `publish` makes them; here they travel in a bundle, and the
fingerprint key lies in a home that never saw a hub.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
import pytest

from hub.channel.fingerprint_keys import FingerprintSecret
from hub.client.aggregate import campaign_id
from hub.client.detections import Author, detect
from hub.client.home import Home
from hub.client.ingest import open_table
from hub.client.keyring import Unlock
from hub.client.rows import ChannelRow, HubRow
from hub.fingerprint.tokens import FingerprintKey
from hub.match.schema import MATCH_SCHEMA
from hub.model import codec
from hub.model.bundle import bundle
from hub.model.identifiers import deterministic_id
from hub.model.objects import campaign, identity, relationship
from hub.traffic.formats import format_names

_ROOT: Final = Path(__file__).resolve().parents[2]
_SAMPLES: Final = _ROOT / "samples"
_LAB: Final = deterministic_id("identity", "match samples")
_NOW: Final = datetime(2026, 11, 20, tzinfo=UTC)
_CHANNEL: Final = "5a" * 32
_KEY: Final = FingerprintKey("5a5a5a5a5a5a5a5a.2026q4", bytes(range(32)))
_LOGS: Final = ("gateway-litellm.jsonl", "gateway-otel.jsonl", "edge-nginx.log")


def _truth() -> dict[str, Any]:
    truth: dict[str, Any] = json.loads((_SAMPLES / "truth.json").read_text())
    return truth


def _published() -> tuple[list[codec.Json], dict[str, set[str]]]:
    """The lab's objects, and the places of the rows behind each indicator."""
    author = Author(member=_LAB, now=_NOW, keys=[_KEY])
    objects = {_LAB: identity("Example Frontier Lab", created=_NOW, identity_id=_LAB)}
    rows: dict[str, set[str]] = {}
    for name in ("accounts.csv", "proxies.csv", "prompts.jsonl"):
        for row in open_table(_SAMPLES / "lab" / name).rows():
            found, _ = detect(row, author)
            if found is None or found.campaign is None:
                continue
            group = campaign(found.campaign, created_by=_LAB, created=_NOW)
            assert group["id"] == campaign_id(_LAB, found.campaign)
            objects[group["id"]] = group
            for made in found.indicators:
                if made["id"] in objects:
                    continue
                objects[made["id"]] = made
                rows.setdefault(made["id"], set()).add(row.where)
                link = relationship(
                    made["id"], "indicates", group["id"], created_by=_LAB, created=_NOW
                )
                objects[link["id"]] = link
    return list(objects.values()), rows


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the bundle and a home that holds the fingerprint key."""
    folder = tmp_path_factory.mktemp("match")
    objects, _ = _published()
    (folder / "lab.json").write_bytes(codec.dumps(bundle(objects)))
    now = int(time.time())
    with Home.create(folder / "home", "Small Provider", Unlock.key_file(), now=now) as home:
        home.state.put_hub(HubRow("http://127.0.0.1/x/", None, b"", None, True, False))
        home.state.add_channel(
            ChannelRow(
                channel_id=_CHANNEL,
                name="test",
                api_root="http://127.0.0.1/x/",
                collection_id="c",
                inbox_id=None,
                standing="member",
                owner_roots=(),
                trusted=None,
                cursor=None,
                pulled_at=None,
                pull_problem=None,
                created_at=now,
            )
        )
        secret = FingerprintSecret(_KEY.key_id, _KEY.secret, now, None, True)
        home.put_fingerprint_secret(_CHANNEL, secret, now)
    return folder


def _run(place: Path, *arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "hub.cli", "match", *arguments],
        cwd=_ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(place)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == expect, done.stderr
    return done


def _logs() -> Iterator[str]:
    return (str(_SAMPLES / "provider" / name) for name in _LOGS)


def _customers(place: Path) -> list[str]:
    return ["--home", str(place / "home"), "--accounts", str(_SAMPLES / "provider/customers.csv")]


def test_matches_equal_the_planted_truth(place: Path) -> None:
    out = place / "matches.parquet"
    done = _run(
        place,
        *_logs(),
        *_customers(place),
        "--indicators",
        str(place / "lab.json"),
        "--out",
        str(out),
        "--json",
    )
    truth = _truth()
    _, rows = _published()
    table = pq.read_table(out)
    assert table.schema.equals(MATCH_SCHEMA)
    found: dict[tuple[str, str], set[str]] = {}
    for match in table.to_pylist():
        places = found.setdefault((match["source"], match["event_id"]), set())
        places |= rows[match["indicator_id"]]
    expected = {(e["source"], e["event_id"]): set(e["rows"]) for e in truth["expected"]}
    assert found == expected
    for miss in truth["near_misses"]:
        assert miss["row"] not in found.get((miss["source"], miss["event_id"]), set())
    report = json.loads(done.stdout)
    assert report["matched_exchanges"] == len(expected)
    assert report["exchanges"] == sum(truth["events"].values())
    clusters = {c["name"]: {x["account_id"] for x in c["customers"]} for c in report["campaigns"]}
    for name, members in truth["clusters"].items():
        assert set(members) & clusters[name]
        grades = {c["account_id"]: c["grade"] for c in _campaign(report, name)["customers"]}
        assert "evidence" in {grades[member] for member in members if member in grades}
    _check_sources(report, truth)


def _campaign(report: dict[str, Any], name: str) -> dict[str, Any]:
    return next(c for c in report["campaigns"] if c["name"] == name)


def _check_sources(report: dict[str, Any], truth: dict[str, Any]) -> None:
    sources = {source["source"]: source for source in report["sources"]}
    for name in _LOGS:
        lines = {m["line"] for m in truth["malformed"] if m["source"] == name}
        rejected = sources[name]["rejected_lines"]
        assert {example["line"] for example in rejected["examples"]} == lines
        bad = sum(b["source"] == name for b in truth["bad_addresses"])
        assert sources[name]["rejected_fields"]["count"] == bad
    assert sources["edge-nginx.log"]["layers"]["prompt"] is False
    assert sources["gateway-otel.jsonl"]["layers"]["prompt"] is True
    assert sources["edge-nginx.log"]["not_answerable_indicators"] == 6


def test_table_view_and_jsonl(place: Path) -> None:
    out = place / "matches.jsonl"
    done = _run(
        place,
        str(_SAMPLES / "provider"),
        *_customers(place),
        "--indicators",
        str(place / "lab.json"),
        "--out",
        str(out),
        "--fail-on-match",
        expect=1,
    )
    assert "HYDRA-LANTERN" in done.stdout
    assert "HYDRA-COPPER" in done.stdout
    assert "edge-nginx.log:1252: not a combined access log line" in done.stdout
    assert "not read: customers.csv" not in done.stdout
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert {tuple(record) for record in records} == {tuple(MATCH_SCHEMA.names)}
    assert {(r["source"], r["event_id"]) for r in records if r["source"] in _LOGS} == {
        (e["source"], e["event_id"]) for e in _truth()["expected"]
    }
    values = {r["value"] for r in records if r["path"] == "ipv4-addr:value"}
    assert not any(value.count(".") == 3 and value.replace(".", "").isdigit() for value in values)
    assert out.stat().st_mode & 0o777 == 0o600
    assert not list(place.glob(".*.part"))


def test_without_customers_and_prompts_the_report_says_what_it_cannot_answer(place: Path) -> None:
    done = _run(
        place,
        str(_SAMPLES / "provider/edge-nginx.log"),
        "--indicators",
        str(place / "lab.json"),
        "--json",
    )
    report = json.loads(done.stdout)
    missing = report["indicators"]["not_answerable"]
    paths = {path for group in missing for path in group["paths"]}
    assert any(path.endswith("fp_tokens[*]") for path in paths)
    assert any(path.startswith("llm-exchange:prompt") for path in paths)
    assert {layer["layer"] for c in report["campaigns"] for layer in c["layers"]} == {"network"}
    assert {c["grade"] for c in report["campaigns"]} == {"lead"}


_LAYERS: Final = {"accounts": "account", "proxies": "network", "prompts": "prompt"}
_SHOWS: Final = {
    "csv": "account network prompt behaviour",
    "jsonl": "account network prompt behaviour",
    "litellm-spend": "account network prompt behaviour",
    "otel": "account network prompt behaviour",
    "kong": "account network prompt behaviour",
    "openai-compatible": "account network prompt behaviour",
    "ocsf": "account network prompt behaviour",
    "one-api": "account behaviour",
    "new-api": "account network behaviour",
    "envoy": "network behaviour",
    "cloudflare": "account behaviour",
    "cloudflare-logpush": "account behaviour",
    "portkey": "account prompt behaviour",
    "helicone": "account prompt behaviour",
    "langfuse": "account prompt behaviour",
    "bedrock": "account prompt behaviour",
    "azure-openai": "account behaviour",
    "vertex": "account prompt behaviour",
    "vllm": "network prompt",
}
"""The layers that the sample of each format can show."""


def _table_of_all_spellings(place: Path, truth: dict[str, Any]) -> Path:
    """The customer table, with each account also as each format spells it."""
    with (_SAMPLES / "provider/customers.csv").open(newline="") as file:
        customers = {row["account_id"]: row for row in csv.DictReader(file)}
    spelled = {s: c for one in truth.values() for s, c in one["accounts"].items()}
    path = place / "customers.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(customers["cus-1000"]))
        writer.writeheader()
        writer.writerows({**customers[c], "account_id": s} for s, c in spelled.items())
    return path


def test_the_sample_of_each_format_shows_what_it_can(place: Path) -> None:
    truth: dict[str, Any] = _truth()["formats"]
    assert {one["format"] for one in truth.values()} == set(_SHOWS)
    assert set(_SHOWS) | {"parquet", "litellm", "nginx"} == set(format_names())
    out = place / "formats.parquet"
    done = _run(
        place,
        str(_SAMPLES / "provider/formats"),
        *("--home", str(place / "home"), "--indicators", str(place / "lab.json")),
        *("--accounts", str(_table_of_all_spellings(place, truth)), "--out", str(out), "--json"),
    )
    _, rows = _published()
    found: dict[str, dict[str, set[str]]] = {name: {} for name in truth}
    for match in pq.read_table(out).to_pylist():
        places = found[match["source"]].setdefault(match["event_id"], set())
        places |= rows[match["indicator_id"]]
    sources = {source["source"]: source for source in json.loads(done.stdout)["sources"]}
    for name, one in truth.items():
        assert found[name] == {e["event_id"]: set(e["rows"]) for e in one["expected"]}, name
        source = sources[name]
        assert (source["format"], source["rejected_lines"]["count"]) == (one["format"], 0)
        layers = {layer for layer, shown in source["layers"].items() if shown}
        assert layers == set(_SHOWS[one["format"]].split()), name
        kinds = {_LAYERS[row.partition(".")[0]] for e in one["expected"] for row in e["rows"]}
        assert kinds <= layers
        # Only what is wholly encrypted can meet nothing.
        assert bool(kinds) == (one["format"] != "cloudflare-logpush")
    _check_what_is_withheld({source["format"]: source for source in sources.values()})


def _check_what_is_withheld(sources: dict[str, dict[str, Any]]) -> None:
    reasons = {name: source["rejected_fields"]["reasons"] for name, source in sources.items()}
    assert reasons["azure-openai"] == {"client_ip is masked by its source": 7}
    assert reasons["bedrock"] == {"prompt is in S3 (inputBodyS3Path), not in this log": 1}
    assert reasons["cloudflare-logpush"] == {
        "account_id is encrypted by its source": 7,
        "prompt is encrypted by its source": 7,
    }
    assert sources["cloudflare-logpush"]["times_from_file"] == 7
    assert sources["vllm"]["times_from_file"] == sources["vllm"]["exchanges"] == 14
    assert sources["otel"]["exchanges"] == 7
    assert sources["one-api"]["skipped_records"] == 1


def test_window_leaves_out_and_says_so(place: Path) -> None:
    done = _run(
        place,
        str(_SAMPLES / "provider/edge-nginx.log"),
        "--indicators",
        str(place / "lab.json"),
        "--since",
        "2026-11-11",
        "--until",
        "2026-11-12T00:00:00Z",
        "--json",
    )
    report = json.loads(done.stdout)
    assert "2026-11-11T00:00:00" <= report["first_seen"] <= report["last_seen"]
    assert report["last_seen"] < "2026-11-12T00:00:00"
    source = report["sources"][0]
    assert source["outside_window"] + source["exchanges"] == _truth()["events"]["edge-nginx.log"]


def test_no_indicators_yet(place: Path) -> None:
    done = _run(place, *_logs(), "--home", str(place / "home"), expect=2)
    assert "stillwatch pull" in done.stderr
    done = _run(place, *_logs(), "--home", str(place / "nowhere"), expect=2)
    assert "stillwatch init" in done.stderr
