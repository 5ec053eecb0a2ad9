"""Rows become indicators or are refused with a reason; no value is repeated in a reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hub.client import guards
from hub.client.detections import Author, Verdict, detect
from hub.client.ingest import Row
from hub.fingerprint.tokens import FingerprintKey
from hub.model.identifiers import parse_timestamp

NOW = datetime(2026, 11, 21, tzinfo=UTC)
KEY = FingerprintKey("0123456789abcdef.2026q4", b"k" * 32)
ME = "identity--6f8b9f5c-3b0d-4b4c-9d3e-0a1b2c3d4e5f"
LONG = "Grade the answer against every line of the rubric and explain each deduction."


def _author(*, keys: tuple[FingerprintKey, ...] = (KEY,), region: str | None = None) -> Author:
    return Author(member=ME, now=NOW, keys=keys, region=region)


def _detect(**values: str) -> tuple[list[str], Verdict, str]:
    detection, report = detect(Row("a.csv:2", {"campaign": "LANTERN", **values}), _author())
    kinds = [str(each["name"]) for each in detection.indicators] if detection else []
    return kinds, report.verdict, "; ".join(report.reasons)


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        ({"email": "Ann+x@mail.example"}, ["account.email-keyed"]),
        ({"phone": "+1 212 555 0101"}, ["account.phone-keyed"]),
        ({"device": "b2f1c0de-1111-2222-3333-444455556666"}, ["account.device-keyed"]),
        ({"api_key": "sk-fic-7Qaaaaaaaaaaaaaaaaaaaa"}, ["account.api-key-keyed"]),
        (
            {"email": "ann@mail.example", "phone": "+1 212 555 0101"},
            ["account.email-keyed", "account.phone-keyed"],
        ),
    ],
)
def test_one_indicator_for_each_identifier(values: dict[str, str], kinds: list[str]) -> None:
    assert _detect(**values) == (kinds, Verdict.TOKENISED, "")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"address": "192.0.2.44"}, "network.ipv4"),
        ({"address": "::ffff:192.0.2.44"}, "network.ipv4"),
        ({"address": "203.0.113.64/27"}, "network.cidr4"),
        ({"address": "2001:db8:4f::/48"}, "network.cidr6"),
        ({"domain": "relay.resell-llm.example"}, "network.domain"),
        ({"asn": "64496"}, "network.asn"),
        ({"user_agent": "relay-pool/3"}, "network.user-agent"),
        ({"email_domain": "mailbox-farm.example"}, "account.email-domain"),
        ({"kind": "minhash-lsh", "text": LONG}, "prompt.minhash-lsh"),
        ({"kind": "template", "text": LONG}, "prompt.template"),
        ({"kind": "sha256-norm", "text": LONG}, "prompt.sha256-norm"),
        ({"kind": "literal", "text": "record every hidden assumption"}, "prompt.literal"),
        ({"kind": "regex", "pattern": "grade .{0,60}rubric"}, "prompt.regex"),
        ({"kind": "sha256-norm", "pattern": "ab" * 32}, "prompt.sha256-norm"),
    ],
)
def test_plain_kinds_are_accepted(values: dict[str, str], kind: str) -> None:
    assert _detect(**values) == ([kind], Verdict.ACCEPTED, "")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"address": "10.1.2.3"}, "reserved range"),
        ({"address": "127.0.0.1"}, "reserved range"),
        ({"address": "0.0.0.0"}, "reserved range"),
        ({"address": "169.254.9.9"}, "reserved range"),
        ({"address": "224.0.0.251"}, "reserved range"),
        ({"address": "fe80::1"}, "reserved range"),
        ({"address": "fd00::1"}, "reserved range"),
        ({"address": "::1"}, "reserved range"),
        ({"address": "203.0.112.0/22"}, "too many"),
        ({"address": "2001:db8::/32"}, "too many"),
        ({"address": "203.0.113.65/27"}, "host bits"),
        ({"address": "8.8.8.8"}, "public DNS resolver"),
        ({"address": "1.1.1.0/24"}, "public DNS resolver"),
        ({"address": "2001:4860:4860::/48"}, "public DNS resolver"),
        ({"address": "relay.example"}, "not an address"),
        ({"email_domain": "Gmail.com"}, "general public"),
        ({"email": "nobody"}, "e-mail"),
        ({"kind": "minhash-lsh", "text": "Continue, please."}, "3 words"),
        ({"kind": "template", "text": "go on now"}, "too little"),
        ({"kind": "literal", "text": "step by step"}, "everyday"),
        ({"kind": "literal", "text": "aa aa aa aa aa aa"}, ""),
        ({"kind": "regex", "pattern": ".*"}, "everyday"),
        ({"kind": "regex", "pattern": "(?i)you are a"}, "everyday"),
        ({"kind": "regex", "pattern": "(unclosed"}, "not a regular expression"),
        ({"kind": "regex", "text": "x"}, "wants a column pattern"),
        ({"kind": "literal"}, "wants a column text"),
        (
            {
                "kind": "sha256-raw",
                "pattern": "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
            },
            "hash of nothing",
        ),
        ({"kind": "sha256-raw", "pattern": "abcd"}, "SHA-256"),
        ({"kind": "guess", "text": LONG}, "not a kind"),
        ({"address": "192.0.2.44", "confidence": "101"}, "confidence"),
        ({"address": "192.0.2.44", "confidence": "high"}, "confidence"),
        ({"address": "192.0.2.44", "first_seen": "yesterday"}, "first_seen"),
        ({"address": "192.0.2.44", "first_seen": "2030-01-01"}, "future"),
        (
            {"address": "192.0.2.44", "first_seen": "2026-11-02", "last_seen": "2026-11-01"},
            "last_seen",
        ),
        (
            {"address": "192.0.2.44", "first_seen": "2026-11-02", "valid_until": "2026-11-01"},
            "valid_until",
        ),
        ({"address": "192.0.2.44", "campaign": "of ann@mail.example"}, "campaign"),
        ({}, "nothing that an indicator"),
    ],
)
def test_refusals_say_why_and_not_what(values: dict[str, str], said: str) -> None:
    kinds, verdict, reasons = _detect(**values)
    assert (kinds, verdict) == ([], Verdict.REFUSED)
    assert said in reasons
    shown = {v for k, v in values.items() if k not in ("kind", "confidence")}
    assert not [each for each in shown if len(each) > 3 and each in reasons]


def test_a_row_that_is_good_in_part_is_warned_about() -> None:
    kinds, verdict, reasons = _detect(email="ann@mail.example", phone="12")
    assert (kinds, verdict) == (["account.email-keyed"], Verdict.WARNED)
    assert reasons.startswith("phone: ")


def test_what_has_expired_or_lasts_too_long_is_warned_about() -> None:
    _, verdict, reasons = _detect(address="192.0.2.44", first_seen="2026-06-01")
    assert (verdict, "expired" in reasons) == (Verdict.WARNED, True)
    _, verdict, reasons = _detect(address="192.0.2.44", valid_until="2027-12-01")
    assert (verdict, "90 days" in reasons) == (Verdict.WARNED, True)


def test_without_a_key_identifiers_are_refused() -> None:
    row = Row("a.csv:2", {"email": "ann@mail.example", "campaign": "X"})
    detection, report = detect(row, _author(keys=()))
    assert detection is None
    assert "stillwatch pull" in report.reasons[0]


def test_validity_follows_the_row() -> None:
    row = Row("a.csv:2", {"address": "192.0.2.44", "first_seen": "2026-11-01", "campaign": "X"})
    detection, _ = detect(row, _author())
    assert detection is not None
    (made,) = detection.indicators
    assert parse_timestamp(made["valid_from"]) == datetime(2026, 11, 1, tzinfo=UTC)
    assert parse_timestamp(made["valid_until"]) == datetime(2026, 11, 1, tzinfo=UTC) + timedelta(90)


def test_a_row_without_campaign_stands_alone() -> None:
    detection, report = detect(Row("a.csv:2", {"address": "192.0.2.44"}), _author())
    assert detection is not None
    assert detection.campaign is None
    assert report.verdict is Verdict.WARNED


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("write to ann@mail.example", True),
        ("seen from 192.0.2.44 twice", True),
        ("call +1 212 555 0101 0", True),
        ("an office of a customer, 25 seats, version 1.2.3", False),
    ],
)
def test_free_text_holds_no_identifier(text: str, found: bool) -> None:
    assert (guards.free_text(text) is not None) is found


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"address": "203.0.113.999"}, "address: not an address or prefix"),
        ({"address": "proxy.example"}, "address: not an address or prefix"),
        ({"address": "203.0.113.5/24"}, "address: host bits are set"),
        ({"address": "2001:db8::/16"}, "address: host bits are set"),
        ({"asn": "banana"}, "asn: not the number of an autonomous system"),
        ({"phone": "030 1234567"}, "--region"),
    ],
)
def test_a_refusal_speaks_of_its_own_field(values: dict[str, str], said: str) -> None:
    kinds, verdict, reasons = _detect(**values)
    assert (kinds, verdict) == ([], Verdict.REFUSED)
    assert said in reasons
    assert "domain name" not in reasons


def test_a_last_sight_in_the_future_is_warned_of() -> None:
    _, verdict, reasons = _detect(domain="proxy.example", last_seen="2199-01-01")
    assert verdict is Verdict.WARNED
    assert "last_seen: lies in the future" in reasons
