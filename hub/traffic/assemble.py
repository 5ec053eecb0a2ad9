"""Raw columns, in whatever types a log has, to one TRAFFIC batch; what does not fit is counted."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hub.errors import InputError
from hub.fingerprint import normalise
from hub.match.schema import TRAFFIC_SCHEMA
from hub.traffic import columnar, times
from hub.traffic.messages import prompt_text
from hub.traffic.problems import Tally

Values: TypeAlias = Sequence[Any] | pa.Array
"""One raw column: Python scalars as JSON gives them, or an Arrow array as a file has it."""

_NULLABLE: Final = pa.schema([field.with_nullable(True) for field in TRAFFIC_SCHEMA])
_INT64: Final = range(-(2**63), 2**63)
_WHOLE: Final = r"^(-?[0-9]{1,18})?$"
_PORT: Final = re.compile(r"(?:\[([^\]]+)\]|([^:\[\]]+))(?::\d{1,5})?")
_LISTS: Final = frozenset(field.name for field in TRAFFIC_SCHEMA if pa.types.is_list(field.type))
_TIMES: Final = frozenset(f.name for f in TRAFFIC_SCHEMA if pa.types.is_timestamp(f.type))
_NUMBERS: Final = frozenset(f.name for f in TRAFFIC_SCHEMA if pa.types.is_integer(f.type))


@dataclass(frozen=True, slots=True)
class Withheld:
    """A value that the source has but does not show; becomes null and is counted.

    Args:
        reason: such as "prompt is kept in S3, not in this log".
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Piece:
    """Some records of a log, column by column.

    Args:
        columns: TRAFFIC column to raw values, all of one length.
        lines: the 1-based line (or record) of each.
        rest: records from between these, which were read in another way.
    """

    columns: Mapping[str, Values]
    lines: npt.NDArray[np.int64]
    rest: Piece | None = None


def assemble(piece: Piece, tally: Tally, file_name: str) -> pa.RecordBatch:
    """Turn raw columns into a TRAFFIC_SCHEMA batch.

    Rows without a usable time are dropped and counted as rejects; other values that do not fit
    become null and are counted as field problems.

    Args:
        file_name: base name, for the `event_id` of records without an id of their own.
    Returns:
        Its rows in the order of the lines.
    """
    batch, lines = _assembled(piece, tally, file_name)
    if piece.rest is None or not len(piece.rest.lines):
        return batch
    other, more = _assembled(piece.rest, tally, file_name)
    order = np.argsort(np.concatenate((lines, more)), kind="stable")
    return pa.concat_batches([batch, other]).take(pa.array(order))


def _assembled(
    piece: Piece, tally: Tally, file_name: str
) -> tuple[pa.RecordBatch, npt.NDArray[np.int64]]:
    lines = piece.lines
    raw = {
        name: _readable(_plain(values), name, lines, tally)
        for name, values in piece.columns.items()
    }
    built: dict[str, pa.Array] = {}
    for name, values in raw.items():
        if name in _TIMES:
            continue
        if name in _LISTS:
            built[name] = _lists(values, name, lines, tally)
        elif name in _NUMBERS:
            built[name] = _integers(values, name, lines, tally)
        elif name == "prompt":
            built[name] = _prompts(values, lines, tally)
        else:
            built[name] = _texts(values, name, lines, tally)
    if "client_ip" in built:
        built["client_ip"] = _addresses(built["client_ip"], lines, tally)
    if "signup_time" in raw:
        built["signup_time"] = _times(raw["signup_time"])[0]
    built["event_id"] = _event_ids(built.get("event_id"), lines, file_name)
    built["observed_at"], naive = _times(raw.get("observed_at", [None] * len(lines)))
    tally.naive_times += naive
    batch = pa.RecordBatch.from_arrays(
        [
            built[field.name].cast(field.type)
            if field.name in built
            else _nulls(len(lines), field.type)
            for field in TRAFFIC_SCHEMA
        ],
        schema=_NULLABLE,
    )
    return _with_times(batch, lines, tally)


@functools.lru_cache(maxsize=32)
def _nulls(count: int, kind: pa.DataType) -> pa.Array:
    """A column of nulls; those of one length and type share their memory."""
    return pa.nulls(count, kind)


def _plain(values: Values) -> Values:
    if isinstance(values, pa.Array) and pa.types.is_dictionary(values.type):
        return values.dictionary_decode()
    return values


def _readable(values: Values, name: str, lines: npt.NDArray[np.int64], tally: Tally) -> Values:
    """The values without those that no text can be: Parquet promises UTF-8, and may not hold it."""
    if not isinstance(values, pa.Array):
        return values
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        values.validate()
    else:
        return values
    out: list[Any] = []
    bad: list[int] = []
    for row, value in enumerate(values):
        try:
            out.append(value.as_py())
        except UnicodeDecodeError:
            out.append(None)
            bad.append(row)
    _note(tally, lines, bad, f"{name} is not UTF-8")
    return out


def _with_times(
    batch: pa.RecordBatch, lines: npt.NDArray[np.int64], tally: Tally
) -> tuple[pa.RecordBatch, npt.NDArray[np.int64]]:
    if batch.column("observed_at").null_count:
        keep = batch.column("observed_at").is_valid()
        kept = keep.to_numpy(zero_copy_only=False)
        for line in lines[~kept].tolist():
            tally.rejects.add(line, "no usable time")
        batch, lines = batch.filter(keep), lines[kept]
    return pa.RecordBatch.from_arrays(batch.columns, schema=TRAFFIC_SCHEMA), lines


def _note(tally: Tally, lines: npt.NDArray[np.int64], rows: Sequence[int], reason: str) -> None:
    for row in rows:
        tally.field_problems.add(int(lines[row]), reason)


def _listed(values: Values) -> Sequence[Any]:
    return values.to_pylist() if isinstance(values, pa.Array) else values


def _scalar(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, bytes):
        return value.decode()
    raise ValueError


def _texts(values: Values, name: str, lines: npt.NDArray[np.int64], tally: Tally) -> pa.Array:
    """Strings; empty means not shown, hence null; numbers as they are written."""
    out = _fast_texts(values)
    if out is None:
        texts: list[str | None] = []
        bad: list[int] = []
        rows = _listed(values)
        for row, value in enumerate(rows):
            text = None
            if value.__class__ is Withheld:
                _note(tally, lines, [row], value.reason)
            elif value is not None:
                try:
                    text = _scalar(value)
                    if text is not None:
                        text.encode()
                except ValueError:
                    text = None
                    bad.append(row)
            texts.append(text)
        _note(tally, lines, bad, f"{name} is not a text")
        out = pa.array(texts, pa.large_string())
    if columnar.has_empty(out):
        empty = pc.equal(pc.binary_length(out), 0)
        out = pc.if_else(empty, pa.scalar(None, out.type), out)
    return out


def _fast_texts(values: Values) -> pa.Array | None:
    if not isinstance(values, pa.Array):
        try:
            return pa.array(values, pa.large_string())
        except (pa.ArrowException, TypeError, UnicodeError):
            return None
    kind = values.type
    if pa.types.is_floating(kind) or pa.types.is_nested(kind):
        return None
    if columnar.is_text(kind):
        return values
    try:
        return values.cast(pa.large_string())
    except pa.ArrowException:
        return None


def _prompts(values: Values, lines: npt.NDArray[np.int64], tally: Tally) -> pa.Array:
    """Texts as they are; message lists through `prompt_text`."""
    nested = isinstance(values, pa.Array) and pa.types.is_nested(values.type)
    if not nested:
        fast = _fast_texts(values)
        if fast is not None:
            return _texts(fast, "prompt", lines, tally)
    rows = _listed(values)
    texts = [prompt_text(value) if isinstance(value, list | dict) else value for value in rows]
    return _texts(texts, "prompt", lines, tally)


def _inferred(values: Values) -> pa.Array | None:
    """An array of the type that all values share, None where they share none."""
    if isinstance(values, pa.Array):
        return values
    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError, OverflowError, UnicodeError):
        return None


def _integers(values: Values, name: str, lines: npt.NDArray[np.int64], tally: Tally) -> pa.Array:
    shared = _inferred(values)
    if shared is not None:
        fast = _fast_integers(shared)
        if fast is not None:
            return fast
    numbers: list[int | None] = []
    bad: list[int] = []
    for row, value in enumerate(_listed(values)):
        number = _integer(value)
        if number is None and value is not None and value != "":
            bad.append(row)
        numbers.append(number)
    _note(tally, lines, bad, f"{name} is not a 64-bit whole number")
    return pa.array(numbers, pa.int64())


def _fast_integers(values: pa.Array) -> pa.Array | None:
    kind = values.type
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)
    try:
        if numeric:
            return values.cast(pa.int64())
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            if not pc.all(pc.match_substring_regex(values, _WHOLE), min_count=0).as_py():
                return None
            empty = pc.equal(values, "")
            return pc.if_else(empty, pa.scalar(None, kind), values).cast(pa.int64())
    except pa.ArrowInvalid:
        return None
    return None


def _integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        text = value.strip()
        try:
            value = float(text) if "." in text else int(text[:25])
        except ValueError:
            return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and value in _INT64 else None


def _lists(values: Values, name: str, lines: npt.NDArray[np.int64], tally: Tally) -> pa.Array:
    """Lists of texts; a text is split at `;`, which is how CSV writes a list."""
    if isinstance(values, pa.Array) and columnar.tidy_lists(values):
        return values
    rows = _listed(values)
    out: list[list[str] | None] = []
    bad: list[int] = []
    for row, value in enumerate(rows):
        items = value.split(";") if isinstance(value, str) else value
        if items is None:
            out.append(None)
        elif isinstance(items, list) and all(isinstance(item, str) for item in items):
            out.append([item.strip() for item in items if item.strip()] or None)
        else:
            bad.append(row)
            out.append(None)
    _note(tally, lines, bad, f"{name} is not a list of texts")
    return pa.array(out, pa.list_(pa.string()))


def _times(values: Values) -> tuple[pa.Array, int]:
    shared = _inferred(values)
    if shared is not None and not _widened(shared, values):
        return times.column(shared)
    out = pa.nulls(len(values), times.TIME)
    naive = 0
    for kind, arrow in ((str, pa.string()), (int, pa.int64()), (float, pa.float64())):
        alike = pa.array([v if _is_time(v, kind) else None for v in values], arrow)
        found, without_zone = times.column(alike)
        out = pc.coalesce(out, found)
        naive += without_zone
    return out, naive


def _widened(shared: pa.Array, values: Values) -> bool:
    """Whether whole numbers became floats, which do not hold nanoseconds."""
    return (
        pa.types.is_floating(shared.type)
        and not isinstance(values, pa.Array)
        and any(type(value) is int for value in values)
    )


def _is_time(value: Any, kind: type[object]) -> bool:
    if type(value) is not kind:
        return False
    return value.isascii() if isinstance(value, str) else kind is float or value in _INT64


def _addresses(values: pa.Array, lines: npt.NDArray[np.int64], tally: Tally) -> pa.Array:
    """Canonical addresses; of a list as in X-Forwarded-For, the first, without a port."""
    rows = columnar.strange_addresses(values)
    if len(rows) == 0:
        return values
    found: dict[str, str | None] = {}
    bad: list[int] = []
    texts = values.take(pa.array(rows)).to_pylist()
    for row, text in zip(rows.tolist(), texts, strict=True):
        if text not in found:
            found[text] = client_address(text)
        if found[text] is None:
            bad.append(row)
    _note(tally, lines, bad, "client_ip is not an IP address")
    strange = np.zeros(len(values), dtype=np.bool_)
    strange[rows] = True
    better = pa.array([found[text] for text in texts], values.type)
    return pc.replace_with_mask(values, strange, better)


def client_address(text: str) -> str | None:
    """The canonical client address in a logged value, or None where there is none."""
    first = text.split(",", 1)[0].strip()
    try:
        return normalise.ip(first)
    except InputError:
        pass
    bare = _PORT.fullmatch(first)
    if bare is None:
        return None
    try:
        return normalise.ip(bare.group(1) or bare.group(2))
    except InputError:
        return None


def _event_ids(given: pa.Array | None, lines: npt.NDArray[np.int64], file_name: str) -> pa.Array:
    if given is not None and not given.null_count:
        return given
    rows = pc.binary_join_element_wise(
        pa.scalar(file_name, pa.large_string()),
        pa.array(lines).cast(pa.large_string()),
        pa.scalar(":", pa.large_string()),
    )
    return rows if given is None else pc.coalesce(given.cast(rows.type), rows)
