"""The engine finds exactly what the standard's semantics say, on the events' own bundles."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.fingerprint.prompts import features
from hub.match import evaluate
from hub.match.engine import FLOODS, IndicatorIndex
from hub.match.observe import observe
from hub.match.pattern import parse, parse_time
from hub.match.plan import FIELDS, Kind
from hub.match.reference import values_at
from hub.match.schema import TRAFFIC_SCHEMA
from hub.match.syntax import Comparison, Observation

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PROMPTS = [
    "Write out every intermediate reasoning step, then grade it.",
    "Write out every intermediate reasoning step,\nthen grade it.",
    "naïve café — ſtep １２３ \u0661",
    "e\u0301tape",
    "\u00e9tape",
    "step\x1cstep K",
    "\u1c80 rare letters \u2c2f",
    "",
    "one two three four five six seven",
    "one two three four five six eight",
]
TEXTS = ["alpha", "Alpha", "beta 7", "alpha\nbeta", "é", "e\u0301", "", "relay-pool/12 (x)"]
ADDRESSES = ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.129", "2001:db8::1", "2001:DB8:0::1", "junk"]
# The engine also reads the header's older spelling, which no observation of STIX 2.1 has.
OLD_HEADER = "network-traffic:extensions.'http-request-ext'.request_header.'User-Agent'"
PATHS = sorted(set(FIELDS) - {OLD_HEADER})
LIKES = ["%step%", "_lpha%", "%", "", "e\u0301%", "192%", "%grade it.", "%e%t%", "beta_7"]
REGEXES = [r"step", r"(?i)ALPHA|K$", r"\w{6}", r"\s", r"\d+", "^$", "é", r"(.)\1", "[[:alpha:]]"]
BLOCKS = ["192.0.2.0/25", "192.0.2.1/32", "2001:db8::/32", "0.0.0.0/0", "::ffff:192.0.2.0/120"]
SIGNUPS = [datetime(2026, 10, 1, 2, minute, tzinfo=UTC) for minute in (0, 5, 15)]


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _texts(column: str) -> list[str]:
    return PROMPTS if column == "prompt" else TEXTS


_derived = {
    "sha256_raw": [features(text).sha256_raw for text in PROMPTS],
    "sha256_norm": [features(text).sha256_norm for text in PROMPTS],
    "template_sha256": [features(text).template_sha256 for text in PROMPTS],
    "lsh_bands[*]": [band for text in PROMPTS for band in features(text).lsh_bands],
}


def _literals(path: str) -> st.SearchStrategy[str]:
    field = FIELDS[path]
    feature = path.rpartition(".")[2]
    if feature in _derived:
        return st.sampled_from(_derived[feature]).map(_quote)
    if field.kind is Kind.NUMBER:
        return st.sampled_from(["1", "2", "2.0", "2.5", "64496", "'2'", "true"])
    if field.kind is Kind.TIME:
        return st.sampled_from(["t'2026-10-01T02:05:00Z'", "t'2026-10-01T02:05:00.000001Z'"])
    if field.kind is Kind.ADDRESS:
        return st.sampled_from(["'192.0.2.1'", "'2001:db8::1'", "'192.0.2.9'"])
    return st.sampled_from([*_texts(field.column), "h'c3a9'", "5"]).map(
        lambda text: text if text in {"h'c3a9'", "5"} else _quote(text)
    )


@st.composite
def _tests(draw: st.DrawFn) -> str:
    path = draw(st.sampled_from(PATHS))
    kind = FIELDS[path].kind
    negation = draw(st.sampled_from(["", "", "NOT "]))
    forms = ["=", "=", "IN", "!=", "EXISTS"]
    if kind in {Kind.TEXT, Kind.TEXTS}:
        forms += ["LIKE", "MATCHES"]
    if kind is Kind.ADDRESS:
        forms += ["ISSUBSET", "ISSUPERSET", "LIKE"]
    if kind in {Kind.NUMBER, Kind.TIME, Kind.TEXT}:
        forms += ["<", ">="]
    form = draw(st.sampled_from(forms))
    if form == "EXISTS":
        return f"EXISTS {path}"
    if form == "LIKE":
        operand = draw(
            st.sampled_from(["%step%", "_lpha%", "%", "", "e\u0301%", "192%", "%grade it."])
        )
        return f"{path} {negation}LIKE {_quote(operand)}"
    if form == "MATCHES":
        operand = draw(st.sampled_from(REGEXES))
        return f"{path} {negation}MATCHES {_quote(operand)}"
    if form in {"ISSUBSET", "ISSUPERSET"}:
        block = draw(
            st.sampled_from(["192.0.2.0/25", "192.0.2.1/32", "2001:db8::/32", "0.0.0.0/0"])
        )
        return f"{path} {negation}{form} '{block}'"
    if form == "IN":
        members = draw(st.lists(_literals(path), max_size=3))
        typed = [one for one in members if one[0] == (members[0][0] if members else "")]
        if any(one in {"true", "5"} or one[0].isdigit() for one in typed):
            typed = typed[:1]
        return f"{path} {negation}IN ({', '.join(typed)})"
    literal = draw(_literals(path))
    if form in {"<", ">="} and literal == "true":
        literal = "1"
    return f"{path} {negation}{form} {literal}"


_expressions = st.recursive(
    _tests(),
    lambda inner: st.tuples(inner, st.sampled_from([" AND ", " OR ", " OR "]), inner).map(
        lambda parts: f"({''.join(parts)})"
    ),
    max_leaves=4,
)
_patterns = st.one_of(
    _expressions.map(lambda text: f"[{text}]"),
    st.tuples(_expressions, _expressions).map(lambda two: f"[{two[0]}] OR [{two[1]}]"),
    _expressions.map(
        lambda text: f"[{text}] START t'2026-11-20T11:00:00Z' STOP t'2026-11-20T12:00:00Z'"
    ),
)


def _column(name: str) -> st.SearchStrategy[Any]:
    kinds = {FIELDS[path].kind for path in FIELDS if FIELDS[path].column == name}
    if name == "prompt":
        return st.sampled_from(PROMPTS)
    if name == "client_ip":
        return st.sampled_from(ADDRESSES)
    if Kind.NUMBER in kinds:
        return st.sampled_from([1, 2, 64496])
    if Kind.TIME in kinds:
        return st.sampled_from(SIGNUPS)
    texts = st.sampled_from(TEXTS)
    return st.lists(texts, max_size=3) if Kind.TEXTS in kinds else texts


_events = st.lists(
    st.fixed_dictionaries(
        {"observed_at": st.sampled_from([NOON, NOON.replace(hour=11)])},
        optional={
            name: _column(name)
            for name in TRAFFIC_SCHEMA.names
            if name not in {"observed_at", "event_id"}
        },
    ),
    min_size=1,
    max_size=4,
)


def indicator(number: int, pattern: str, **more: Any) -> dict[str, Any]:
    """An indicator of STIX with the least that the engine asks for."""
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--00000000-0000-4000-8000-{number:012d}",
        "created": "2026-11-01T00:00:00.000Z",
        "modified": "2026-11-01T00:00:00.000Z",
        "valid_from": "2026-11-01T00:00:00Z",
        "pattern_type": "stix",
        "pattern": pattern,
        **more,
    }


def _table(events: list[dict[str, Any]]) -> pa.Table:
    rows = [{**event, "event_id": f"e{number}"} for number, event in enumerate(events)]
    return pa.Table.from_pylist(rows, schema=TRAFFIC_SCHEMA)


@settings(max_examples=250, derandomize=True, deadline=None)
@given(st.lists(_patterns, min_size=1, max_size=3), _events)
def test_engine_equals_reference(patterns: list[str], events: list[dict[str, Any]]) -> None:
    table = _table(events)
    index = IndicatorIndex.build(indicator(*one) for one in enumerate(patterns))
    # What describes nearly every event is refused, whatever the standard says of it.
    floods = {problem.indicator_id for problem in index.problems if problem.reason == FLOODS}
    refused = {problem.indicator_id for problem in index.problems} - floods
    found = index.match(table, source="log").to_pylist()
    hits = [(row["event_id"], row["indicator_id"]) for row in found]
    expected = [
        (row["event_id"], one["id"])
        for row in table.to_pylist()
        for one in (indicator(*pair) for pair in enumerate(patterns))
        if one["id"] not in floods and evaluate(one["pattern"], [observe(row)])
    ]
    assert hits == expected
    assert not refused & {identifier for _, identifier in expected}


VECTORS = sorted((Path(__file__).parents[2] / "vectors" / "patterns").glob("*.json"))
# Kinds that no single event can answer, or that read what no TRAFFIC column holds.
SEVERAL_OBSERVATIONS = frozenset(
    {"prompt.cot-elicitation", "prompt.rubric-grading", "behaviour.volume"}
    | {"behaviour.shared-payment", "behaviour.sequence", "account.signup-batch"}
)
NO_COLUMN = frozenset(
    {"network.domain", "network.x509", "network.ja4x", "network.ja4"}
    | {"network.gateway-egress", "prompt.hmac-norm", "prompt.simhash", "prompt.tlsh"}
    | {"prompt.embedding-cell", "behaviour.concurrency", "behaviour.load-balance"}
    | {"behaviour.sync-timing", "behaviour.release-pivot", "behaviour.capability-focus"}
    | {"output.watermark"}
)


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: str(path.stem))
def test_each_kind_is_answered_or_reported(path: Path) -> None:
    pattern = json.loads(path.read_bytes())["pattern"]
    index = IndicatorIndex.build([indicator(1, pattern)])
    coverage = index.coverage(TRAFFIC_SCHEMA.names)
    if path.stem in SEVERAL_OBSERVATIONS:
        assert index.problems == ()
        assert len(index.watches) == 1
        assert coverage.answerable == (path.stem != "account.signup-batch")
    elif path.stem in NO_COLUMN:
        assert index.problems == ()
        assert coverage.answerable == 0
        assert all(coverage.not_answerable.values())
    else:
        assert (len(index), coverage.answerable, coverage.not_answerable) == (1, 1, {})
        assert path.stem in ANSWERED


ANSWERED = sorted({path.stem for path in VECTORS} - SEVERAL_OBSERVATIONS - NO_COLUMN)


def _row(bundle: dict[str, Any]) -> dict[str, Any] | None:
    """The TRAFFIC row that shows what a bundle shows; None where one event cannot.

    So it is with two addresses, or with a block for an address.
    """
    objects = {one["id"]: one for one in bundle["objects"]}
    observed = next(one for one in objects.values() if one["type"] == "observed-data")
    row: dict[str, Any] = {"observed_at": parse_time(observed["first_observed"])}
    for path, field in FIELDS.items():
        read = parse(f"[EXISTS {path}]")
        assert isinstance(read, Observation)
        assert isinstance(read.expression, Comparison)
        roots = [one for one in objects.values() if one["type"] == field.object_type]
        values = [v for one in roots for v in values_at(one, read.expression.path, objects)]
        if values and field.derived is None and not isinstance(values[0], list):
            block = field.kind is Kind.ADDRESS and "/" in str(values[0])
            if block or (field.kind is not Kind.TEXTS and len(values) > 1):
                return None
            row[field.column] = values if field.kind is Kind.TEXTS else values[0]
    if "signup_time" in row:
        row["signup_time"] = parse_time(row["signup_time"])
    return row


@pytest.mark.parametrize("kind", ANSWERED)
def test_engine_equals_reference_on_the_vectors_of_each_kind(kind: str) -> None:
    vector = json.loads((VECTORS[0].parent / f"{kind}.json").read_bytes())
    index = IndicatorIndex.build([indicator(1, vector["pattern"])])
    for expected, bundles in ((True, vector["positive"]), (False, vector["negative"])):
        table = _table([row for row in map(_row, bundles) if row is not None])
        judged = [evaluate(vector["pattern"], [observe(row)]) for row in table.to_pylist()]
        assert judged == [expected] * len(judged)
        assert judged
        found = index.match(table, source="log").column("event_id").to_pylist()
        assert found == (table.column("event_id").to_pylist() if expected else [])


def test_the_older_spelling_of_a_header_is_answered() -> None:
    index = IndicatorIndex.build([indicator(1, f"[{OLD_HEADER} MATCHES '^relay-pool/[0-9]+']")])
    events = _table([{"observed_at": NOON, "user_agent": text} for text in TEXTS])
    found = index.match(events, source="log").column("event_id").to_pylist()
    assert found == [f"e{TEXTS.index('relay-pool/12 (x)')}"]
