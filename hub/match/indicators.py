"""What the engine keeps of STIX objects: indicators as columns, and the campaigns they indicate.

Objects may be many and come one by one, so nothing of an object is kept but its facts. Whatever
can be judged by the column (ids, times, addresses) is read a block of objects at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa

from hub.errors import InputError
from hub.match.anchors import SHORTEST_V4, SHORTEST_V6
from hub.match.draft import COMPLEX, FIRST_ADDRESS, FORMS, Draft, Nets, Source, holds_address
from hub.match.facts import UNSURE, Facts, Problem, Words
from hub.match.index.buffers import Rows
from hub.match.index.cidr import parse_addresses
from hub.match.keys import NO_TIME, KeyTable, newest, read_keys, read_times
from hub.match.links import Links
from hub.match.plan import NEVER
from hub.match.syntax import Operator
from hub.model.codec import Json
from hub.model.extension import INDICATOR_CONTROLS
from hub.model.markings import tlp_of

BLOCK: Final = 16_384
"""Objects of which the texts are held at a time."""

_Codes: TypeAlias = tuple[int, int, int, int, int]
"""Confidence, publisher, marking, layer, least number of bands: the last columns of `Facts`."""

_LIVE, _GONE, _BAD = range(3)
_EQUALS: Final = {f"[{one.path}": n for n, (one, op) in enumerate(FORMS) if op is Operator.EQ}
_FORM_OF: Final = {(one.path, str(op)): n for n, (one, op) in enumerate(FORMS)}
_SIMPLE: Final = re.compile(
    r"\[\s*([a-z0-9-]+:[\w.]+(?:'[\w.-]+'[\w.]*)?(?:\[\*\][\w.]*)?)\s*"
    r"(?:(=|\sISSUBSET)\s*'([^'\\]+)'|\sIN\s*\(\s*('[^'\\]+'(?:\s*,\s*'[^'\\]+')*)\s*\))\s*\]",
    re.ASCII,
)
_VALUE: Final = re.compile(r"'([^']+)'")


@dataclass(frozen=True, slots=True)
class Collected:
    """The newest version of each object.

    Attributes:
        draft: the indicators in use, by id.
        gone, gone_versions: ids and versions of those that are revoked or malformed, by id.
        reasons: why the malformed ones are, by key.
        nameless: indicators without an id.
        odd: ids of unusual form, by key.
    """

    draft: Draft
    gone: KeyTable
    gone_versions: Rows
    reasons: dict[bytes, str]
    nameless: list[Problem]
    links: Links
    odd: dict[bytes, str]


def collect(objects: Iterable[Json], words: Words) -> Collected:
    """Take the newest version of each indicator and of each relationship."""
    indicators, links = _Indicators(words), _Links(words)
    for one in objects:
        kind = one.get("type")
        if kind == "indicator":
            indicators.add(one)
        elif kind == "relationship":
            links.add(one)
    return indicators.collected(links.joined())


def text_of(value: object) -> str | None:
    """A string that can be written as UTF-8, else None."""
    if not isinstance(value, str):
        return None
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        return None
    return value


def form_of(pattern: str) -> tuple[int, Sequence[str]]:
    """Read the pattern of a simple indicator: its form and values, else `COMPLEX`.

    Nearly all patterns are so, and a full parse costs thirty times as much.
    """
    head, mark, rest = pattern.partition(" = '")
    form = _EQUALS.get(head) if mark else None
    if form is not None and rest.endswith("']"):
        value = rest[:-2]
        if value and "'" not in value and "\\" not in value:
            return form, (value,)
    found = _SIMPLE.fullmatch(pattern)
    if found is None:
        return COMPLEX, ()
    form = _FORM_OF.get((found[1], (found[2] or "=").strip()), COMPLEX)
    values = (found[3],) if found[4] is None else tuple(_VALUE.findall(found[4]))
    return (form, values) if len(values) == 1 or form < FIRST_ADDRESS else (COMPLEX, ())


@dataclass
class _Block:
    """The texts of some indicators, until they are read by the column."""

    ids: list[str] = field(default_factory=list)
    modified: list[str] = field(default_factory=list)
    start: list[str] = field(default_factory=list)
    stop: list[str] = field(default_factory=list)
    codes: list[_Codes] = field(default_factory=list)
    forms: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    addresses: list[tuple[int, str, str]] = field(default_factory=list)
    endless: list[int] = field(default_factory=list)
    revoked: list[int] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)
    sources: dict[int, Source] = field(default_factory=dict)


_NO_CODES: Final = (UNSURE, 0, 0, 0, 0)


class _Indicators:
    """Indicators on their way into columns."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._known: dict[object, _Codes] = {}
        self._odd: dict[bytes, str] = {}
        self._nameless: list[Problem] = []
        self._reasons: dict[int, str] = {}
        self._drafts: list[Draft] = []
        self._states: list[Any] = []
        self._versions: list[Rows] = []
        self._count = 0
        self._block = _Block()

    def add(self, one: Json) -> None:
        block, identifier = self._block, one.get("id")
        if not isinstance(identifier, str) or not identifier.isascii():
            identifier = text_of(identifier)
        if identifier is None:
            self._nameless.append(Problem("", "has no id"))
            return
        row = len(block.ids)
        block.ids.append(identifier)
        modified = one.get("modified")
        block.modified.append(modified if isinstance(modified, str) and modified.isascii() else "")
        known = len(block.codes)
        if one.get("revoked") is True:
            block.revoked.append(row)
        else:
            try:
                self._read(one, row)
            except InputError as error:
                block.reasons[row] = error.message
        if len(block.codes) == known:
            for times in (block.start, block.stop):
                times.append("")
            block.codes.append(_NO_CODES)
            block.forms.append(COMPLEX)
            block.counts.append(0)
        if len(block.ids) == BLOCK:
            self._flush()

    def _read(self, one: Json, row: int) -> None:
        get, block = one.get, self._block
        if get("pattern_type") != "stix":
            raise InputError("its pattern_type is not stix")
        pattern = get("pattern")
        if not isinstance(pattern, str):
            raise InputError("has no pattern")
        if not pattern.isascii() and text_of(pattern) is None:
            raise InputError("has a pattern with a lone surrogate")
        controls = _controls(one)
        codes = self._codes(one, controls)
        form, values = form_of(pattern)
        if codes[-1] > 1:
            form = COMPLEX
        if form == COMPLEX:
            block.sources[row] = _source(pattern, controls)
        elif form >= FIRST_ADDRESS:
            block.addresses.append((row, values[0], pattern))
        else:
            block.texts += values
        start, stop = get("valid_from"), get("valid_until", self)
        if stop is self:
            block.endless.append(row)
        block.start.append(start if isinstance(start, str) and start.isascii() else "")
        block.stop.append(stop if isinstance(stop, str) and stop.isascii() else "")
        block.codes.append(codes)
        block.forms.append(form)
        block.counts.append(len(values) if form < FIRST_ADDRESS else 0)

    def _codes(self, one: Json, controls: Mapping[str, Any]) -> _Codes:
        """Facts that many indicators share, as numbers; each combination is worked out once."""
        get = one.get
        refs, publisher = get("object_marking_refs"), get("created_by_ref")
        confidence = get("confidence")
        layer, hits = controls.get("layer"), controls.get("min_band_hits")
        marked = refs[0] if isinstance(refs, list) and len(refs) == 1 else None
        # 1, 1.0 and true are one key to Python.
        key = publisher, layer, marked, confidence, hits, type(confidence), type(hits)
        usual = "granular_markings" not in one and (marked is not None or refs is None)
        try:
            found = self._known.get(key) if usual else None
        except TypeError:
            usual, found = False, None
        if found is None:
            number = self._words.number
            sure = confidence if isinstance(confidence, int) else UNSURE
            known = type(confidence) is int and 0 <= sure <= 100
            found = (
                sure if known else UNSURE,
                number(text_of(publisher)),
                _marking(one),
                number(text_of(layer)),
                min(hits, 255) if type(hits) is int and hits > 0 else 0,
            )
            if usual and len(self._known) < BLOCK:
                self._known[key] = found
        return found

    def _flush(self) -> None:
        """Turn the block into columns."""
        block, self._block = self._block, _Block()
        keys = read_keys(block.ids, "indicator", self._odd)
        modified, start, stop = map(read_times, (block.modified, block.start, block.stop))
        stop[block.endless] = NEVER
        state = np.full(len(keys), _LIVE, dtype=np.uint8)
        state[block.revoked] = _GONE
        state[list(block.reasons)] = _BAD
        for times, texts, name in (
            (modified, block.modified, "modified"),
            (start, block.start, "valid_from"),
            (stop, block.stop, "valid_until"),
        ):
            for row in np.flatnonzero((times == NO_TIME) & (state == _LIVE)).tolist():
                state[row] = _BAD
                missing = "" if texts[row] else f"has no {name}"
                block.reasons[row] = missing or f"has a {name} that is no timestamp"
        nets = _nets(block)
        forms = np.asarray(block.forms, dtype=np.uint8)
        sources = block.sources
        for row in np.flatnonzero((forms == COMPLEX) & (state != _LIVE)).tolist():
            sources[row] = Source("")
        facts = Facts.of(keys, (modified, start, stop), list(zip(*block.codes, strict=True)))
        ends = pa.array(np.cumsum([0, *block.counts]), pa.int64())
        values = pa.array(block.texts, pa.large_string()).cast(pa.large_binary())
        text = pa.LargeListArray.from_arrays(ends, values)
        self._drafts.append(Draft(facts, forms, text, nets, sources))
        self._states.append(state)
        self._versions.append(np.where(modified == NO_TIME, 0, modified))
        self._reasons |= {self._count + row: why for row, why in block.reasons.items()}
        self._count += len(keys)

    def collected(self, links: Links) -> Collected:
        """The newest of all that were added."""
        if self._block.ids:
            self._flush()
        draft = Draft.joined([Draft.empty(), *self._drafts])
        self._drafts.clear()
        none = np.zeros(0, dtype=np.int64)
        keys, versions = draft.facts.keys, np.concatenate([none, *self._versions])
        state = np.concatenate([none, *self._states])
        order = newest(keys, versions)
        dead = order[state[order] != _LIVE]
        return Collected(
            draft.take(order[state[order] == _LIVE]),
            keys[dead],
            versions[dead],
            {keys[row].tobytes(): self._reasons[row] for row in dead[state[dead] == _BAD].tolist()},
            self._nameless,
            links,
            self._odd,
        )


def _marking(one: Json) -> int:
    level = tlp_of(one)
    return 0 if level is None else int(level) + 1


def _controls(one: Json) -> Mapping[str, Any]:
    extensions = one.get("extensions")
    controls = extensions.get(INDICATOR_CONTROLS) if isinstance(extensions, dict) else None
    return controls if isinstance(controls, dict) else {}


def _source(pattern: str, controls: Mapping[str, Any]) -> Source:
    group_by, distinct = controls.get("group_by"), controls.get("count_distinct")
    named = group_by if isinstance(group_by, list) else []
    return Source(
        pattern, tuple(found for found in map(text_of, named) if found), text_of(distinct)
    )


def _nets(block: _Block) -> Nets:
    """Read the addresses of a block; what is written in no plain way becomes complex."""
    if not block.addresses:
        return Nets.none()
    split = [value.partition("/") for _, value, _ in block.addresses]
    found = parse_addresses(pa.array([address for address, _, _ in split], pa.large_string()))
    families = found.family.tolist()
    lengths = np.zeros(len(split), dtype=np.uint8)
    for at, (row, _, pattern) in enumerate(block.addresses):
        address, slash, written = split[at]
        length = _length(FORMS[block.forms[row]], families[at], address, slash, written)
        if length is None:
            block.forms[row] = COMPLEX
            block.sources[row] = Source(pattern)
        else:
            lengths[at] = length
    forms = np.asarray(block.forms, dtype=np.uint8)
    rows = np.asarray([row for row, _, _ in block.addresses], dtype=np.int64)
    kept = holds_address(forms[rows])
    return masked_nets(Nets(found.family, found.high, found.low, lengths).take(kept))


def _length(
    form: tuple[Any, Operator], family: int, address: str, slash: str, written: str
) -> int | None:
    """How many bits of a plain address or prefix count; None if it is not plain."""
    one, operator = form
    wanted = {"ipv4-addr": (4,), "ipv6-addr": (6,)}.get(one.object_type, (4, 6))
    if family not in wanted or (family == 4 and ":" in address):
        return None
    bits = 32 if family == 4 else 128
    if not slash:
        return bits
    if not (written.isascii() and written.isdecimal() and len(written) < 4):
        return None
    length = int(written)
    shortest = SHORTEST_V4 if family == 4 else SHORTEST_V6
    plain = shortest <= length <= bits and (operator is Operator.ISSUBSET or length == bits)
    return length if plain else None


def masked_nets(nets: Nets) -> Nets:
    """The same prefixes with all bits zero that do not count."""
    length = nets.length.astype(np.int64)
    low_bits = np.where(nets.family == 4, length + 32, np.maximum(length - 64, 0))
    high_bits = np.where(nets.family == 4, 0, np.minimum(length, 64))
    return Nets(nets.family, nets.high & _ones(high_bits), nets.low & _ones(low_bits), nets.length)


def _ones(bits: Rows) -> Any:
    """Words whose first `bits` bits are set."""
    full = np.uint64(2**64 - 1)
    shift = np.minimum(64 - bits, 63).astype(np.uint64)
    return np.where(bits == 0, np.uint64(0), full << shift)


class _Links:
    """Relationships on their way into columns."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._parts: list[Links] = []
        self._rows: list[tuple[str, str, str, int]] = []

    def add(self, one: Json) -> None:
        identifier = text_of(one.get("id"))
        modified = one.get("modified")
        time = modified if isinstance(modified, str) and modified.isascii() else ""
        source, target = text_of(one.get("source_ref")), text_of(one.get("target_ref"))
        indicates = one.get("relationship_type") == "indicates" and one.get("revoked") is not True
        named = source is not None and target is not None and target.startswith("campaign--")
        number = self._words.number(target) if indicates and named else 0
        self._rows.append((identifier or "", time, source or "", number))
        if len(self._rows) == BLOCK:
            self._flush()

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        times = read_times([row[1] for row in rows])
        self._parts.append(
            Links(
                read_keys([row[0] for row in rows], "relationship", {}),
                np.where(times == NO_TIME, 0, times),
                read_keys([row[2] for row in rows], "indicator", {}),
                np.asarray([row[3] for row in rows], dtype=np.int32),
            )
        )

    def joined(self) -> Links:
        """The newest of all that were added."""
        if self._rows:
            self._flush()
        return Links.newest(self._parts)
