"""Features of prompts: hashes, template skeleton and near-duplicate bands `mh3w.64.16x4`.

Two prompts that share any band are candidates for near duplicates: recall is 0.996 when 3 of 59
words differ at random places, 0.91 at 5 and 0.56 at 8 (tests measure it). The profile is frozen:
another choice of any constant is another profile with another name.
Source: schemas/fingerprint-v1.md.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hub.fingerprint import kernels, masking, skeletons, text

PROFILE: Final = "mh3w.64.16x4"
"""MinHash, word 3-shingles, 64 functions, 16 bands of 4."""

BANDS: Final = kernels.BANDS
_HEX_DIGITS: Final = 64


@dataclass(frozen=True, slots=True)
class PromptFeatures:
    """What an indicator or an event says about one prompt, without its text.

    Args:
        sha256_raw: of the UTF-8 bytes as they came, lower-case hex.
        sha256_norm: of the normalised prompt.
        template_sha256: of the template skeleton.
        lsh_bands: 16 texts as `band_text` makes them, or none for fewer than three words.
        words: number of words of the normalised prompt; bands of few words say little.
    """

    sha256_raw: str
    sha256_norm: str
    template_sha256: str
    lsh_bands: tuple[str, ...]
    words: int


def band_text(index: int, value: int) -> str:
    """A band as STIX compares it.

    Args:
        index: 0 to 15.
        value: unsigned 64-bit.
    Returns:
        Such as `mh3w.64.16x4:00:e65d95e33103d449`.
    """
    return f"{PROFILE}:{index:02d}:{int(value):016x}"


def features(prompt: str) -> PromptFeatures:
    """All features of one prompt as it came.

    A lone surrogate, which no UTF-8 can hold, counts as U+FFFD in `sha256_raw`.
    """
    normalised = text.mask(text.fold(prompt))
    words = text.words(normalised)
    bands: tuple[str, ...] = ()
    if len(words) >= kernels.SHINGLE_WORDS:
        row = np.zeros((1, BANDS), dtype=np.uint64)
        data = np.frombuffer(normalised, dtype=np.uint8)
        kernels.band_rows(data, np.array([0, len(data)]), masking.CLASSES, row)
        bands = tuple(band_text(index, value) for index, value in enumerate(row[0].tolist()))
    return PromptFeatures(
        sha256_raw=_sha256(_encoded(prompt)),
        sha256_norm=_sha256(normalised),
        template_sha256=_sha256(text.skeleton(words)),
        lsh_bands=bands,
        words=len(words),
    )


def _encoded(prompt: str) -> bytes:
    try:
        return prompt.encode()
    except UnicodeEncodeError:
        return prompt.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _sha256(value: bytes | memoryview) -> str:
    return hashlib.sha256(value).hexdigest()


def bands_batch(normalised: pa.Array) -> NDArray[np.uint64]:
    """Bands of many normalised prompts.

    Args:
        normalised: N strings (string or large_string) as `text.prompt` or `normalise_batch` made
            them; null counts as empty.
    Returns:
        (N, 16) values, column = band index; a row of zeros has no bands (fewer than three words,
        or null). No band value is zero.
    Source: schemas/fingerprint-v1.md, section 5.
    """
    data, offsets = _buffers(normalised)
    out = np.zeros((len(normalised), BANDS), dtype=np.uint64)
    kernels.band_rows(data, offsets, masking.CLASSES, out)
    return out


def normalise_batch(prompts: pa.Array) -> pa.Array:
    """Normalise many prompts as `text.prompt` does each.

    Args:
        prompts: N strings (string or large_string) as they came.
    Returns:
        N large_strings, null where the prompt is null.
    """
    prompts = prompts.cast(pa.large_string())
    data, offsets = _buffers(prompts)
    plain = np.empty(len(prompts), dtype=np.bool_)
    if not masking.ascii_rows(data, offsets, plain):
        prompts = _folded(prompts, plain)
        data, offsets = _buffers(prompts)
    out = np.empty(int(offsets[-1] - offsets[0]) * 5 // 4 + 4096, dtype=np.uint8)
    out_offsets = np.zeros(len(prompts) + 1, dtype=np.int64)
    done = 0
    while True:
        done = int(
            masking.normalise_rows(
                data, offsets, masking.FOLDS, masking.CLASSES, done, out, out_offsets
            )
        )
        if done == len(prompts):
            break
        need = masking.WORST_GROWTH * int(offsets[done + 1] - offsets[done]) + 5
        out = np.concatenate([out, np.empty(max(need, out.size // 2), dtype=np.uint8)])
    return _strings(out, out_offsets, prompts)


def template_batch(normalised: pa.Array) -> pa.Array:
    """The template skeletons of many normalised prompts, as `text.template` makes each.

    Args:
        normalised: N strings as `text.prompt` or `normalise_batch` made them.
    Returns:
        N large_strings, null where the prompt is null.
    """
    data, offsets = _buffers(normalised)
    out = np.empty(int(offsets[-1] - offsets[0]) + skeletons.SPARE, dtype=np.uint8)
    out_offsets = np.zeros(len(normalised) + 1, dtype=np.int64)
    skeletons.skeleton_rows(data, offsets, masking.CLASSES, out, out_offsets)
    return _strings(out, out_offsets, normalised)


def sha256_batch(strings: pa.Array) -> pa.Array:
    """SHA-256 of the UTF-8 of many strings.

    Args:
        strings: N strings (string or large_string).
    Returns:
        N strings of lower-case hex, null where the string is null.
    """
    data, offsets = _buffers(strings)
    view, hashed = data.data, hashlib.sha256
    digests = [hashed(view[a:b]).digest() for a, b in pairwise(offsets.tolist())]
    # One string of all, cut by offsets: Python then makes no text of each.
    everything = b"".join(digests).hex().encode()
    edges = np.arange(len(strings) + 1, dtype=np.int64) * _HEX_DIGITS
    return _strings(np.frombuffer(everything, dtype=np.uint8), edges, strings).cast(pa.string())


def _strings(data: NDArray[np.uint8], offsets: NDArray[np.int64], like: pa.Array) -> pa.Array:
    """N large_strings, null where `like` is."""
    values = pa.LargeStringArray.from_buffers(
        len(like), pa.py_buffer(offsets), pa.py_buffer(data[: offsets[-1]])
    )
    if not like.null_count:
        return values
    return pc.if_else(like.is_valid(), values, pa.scalar(None, pa.large_string()))


def _folded(prompts: pa.Array, plain: NDArray[np.bool_]) -> pa.Array:
    """The column with every row that is not ASCII folded; nulls are ASCII by definition."""
    other = pa.array(~plain)
    folded = [text.fold(value).decode() for value in prompts.filter(other).to_pylist()]
    return pc.replace_with_mask(prompts, other, pa.array(folded, pa.large_string()))


def _buffers(strings: Any) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Bytes and N + 1 offsets of a string array, without copying where the type is large."""
    strings = strings.cast(pa.large_string())
    _, offsets, data = strings.buffers()
    if len(strings) == 0 or offsets is None:
        return np.zeros(0, dtype=np.uint8), np.zeros(1, dtype=np.int64)
    starts = np.frombuffer(offsets, dtype=np.int64)[strings.offset :][: len(strings) + 1]
    if data is None:
        return np.zeros(0, dtype=np.uint8), starts
    return np.frombuffer(data, dtype=np.uint8), starts
