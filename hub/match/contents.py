"""What an index holds, and how it changes: segments, what hides of them, links, the dead.

Nothing is changed in place: an update shares the segments and copies what it must, such as the
mask of the indicators that newer versions hide. Ids that were revoked or malformed stay known with
their version, so that an older version that comes late does not bring them back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from hub.match.columns import Mask
from hub.match.draft import Draft
from hub.match.facts import Problem, Words
from hub.match.index.buffers import Keys, Rows
from hub.match.indicators import Collected, collect
from hub.match.keys import NO_TIME, KeyTable, find_keys, newest, write_ids
from hub.match.links import CampaignSets, Links
from hub.match.segment import Segment
from hub.model.codec import Json


@dataclass(frozen=True, slots=True)
class Dead:
    """Indicators whose newest version is revoked or malformed, by id.

    Attributes:
        reasons: why the malformed ones are, by key.
    """

    keys: KeyTable
    versions: Rows
    reasons: dict[bytes, str]

    @classmethod
    def none(cls) -> Dead:
        """No indicator."""
        return cls(np.zeros((0, 16), dtype=np.uint8), np.zeros(0, dtype=np.int64), {})

    def without(self, keys: KeyTable) -> Dead:
        """Those that newer versions do not replace."""
        at = find_keys(self.keys, keys)
        at = at[at >= 0]
        if not len(at):
            return self
        kept = np.ones(len(self.keys), dtype=np.bool_)
        kept[at] = False
        replaced = {self.keys[row].tobytes() for row in at.tolist()}
        reasons = {key: why for key, why in self.reasons.items() if key not in replaced}
        return Dead(self.keys[kept], self.versions[kept], reasons)

    def and_also(self, other: Dead) -> Dead:
        """Both, which have no id in common."""
        if not len(other.keys):
            return self
        keys = np.concatenate([self.keys, other.keys])
        versions = np.concatenate([self.versions, other.versions])
        order = newest(keys, versions)
        return Dead(keys[order], versions[order], self.reasons | other.reasons)


@dataclass(frozen=True, slots=True)
class Contents:
    """The state of an index.

    Attributes:
        hidden: for each segment, which rows newer versions hide; None: none.
        linked: for each segment, the numbers of its indicators' sets of campaigns; None: no sets.
        odd: ids of unusual form, by key.
    """

    segments: tuple[Segment, ...]
    hidden: tuple[Mask | None, ...]
    linked: tuple[Keys | None, ...]
    dead: Dead
    links: Links
    sets: CampaignSets
    words: Words
    odd: dict[bytes, str]
    nameless: tuple[Problem, ...]

    @classmethod
    def empty(cls) -> Contents:
        """No indicator."""
        none = Links.newest([])
        return cls((), (), (), Dead.none(), none, CampaignSets(), Words(), {}, ())

    def with_objects(self, objects: Iterable[Json], scans: int) -> Contents:
        """Add objects, of which the newest versions count."""
        found = collect(objects, self.words)
        draft, gone = self._new(found)
        replaced = np.concatenate([draft.facts.keys, gone.keys])
        hidden = tuple(
            _hide(segment, mask, replaced)
            for segment, mask in zip(self.segments, self.hidden, strict=True)
        )
        changed = replace(
            self,
            hidden=hidden,
            dead=self.dead.without(replaced).and_also(gone),
            odd=self.odd | found.odd if found.odd else self.odd,
            nameless=(*self.nameless, *found.nameless)[:1000],
        )
        if len(draft):
            changed = changed.with_segment(draft, scans - changed.scans())
        return changed.with_links(found.links, draft.facts.keys)

    def _new(self, found: Collected) -> tuple[Draft, Dead]:
        """What of the found objects is not older than what is known."""
        draft = found.draft
        if not self.segments and not len(self.dead.keys):
            return draft, Dead(found.gone, found.gone_versions, found.reasons)
        fresh = draft.facts.modified >= self.versions(draft.facts.keys)
        if not fresh.all():
            draft = draft.take(np.flatnonzero(fresh))
        known = found.gone_versions >= self.versions(found.gone)
        keys = found.gone[known]
        kept = {key.tobytes() for key in keys}
        reasons = {key: why for key, why in found.reasons.items() if key in kept}
        return draft, Dead(keys, found.gone_versions[known], reasons)

    def versions(self, keys: KeyTable) -> Rows:
        """The known version of each id; `NO_TIME`: it is unknown."""
        out: Rows = np.full(len(keys), NO_TIME, dtype=np.int64)
        at = find_keys(self.dead.keys, keys)
        out[at >= 0] = self.dead.versions[at[at >= 0]]
        for segment, hidden in zip(self.segments, self.hidden, strict=True):
            at = find_keys(segment.facts.keys, keys)
            seen = at >= 0
            if hidden is not None:
                seen &= ~hidden[at]
            out[seen] = segment.facts.modified[at[seen]]
        return out

    def scans(self) -> int:
        """How many formulas in use cost a pass over the events."""
        return sum(
            hidden is None or not hidden[segment.complex.owner[number]]
            for segment, hidden in zip(self.segments, self.hidden, strict=True)
            for number in segment.complex.scans
        )

    def with_segment(self, draft: Draft, scans: int) -> Contents:
        """Compile indicators, none of which is in use yet."""
        segment = Segment(draft, self.odd, scans)
        return replace(
            self,
            segments=(*self.segments, segment),
            hidden=(*self.hidden, None),
            linked=(*self.linked, None),
        )

    def with_links(self, links: Links, added: KeyTable) -> Contents:
        """Add relationships, and see which campaigns they and the `added` indicators have."""
        merged, affected = self.links, [added]
        if len(links):
            at = find_keys(self.links.keys, links.keys)
            affected += [links.sources, self.links.sources[at[at >= 0]]]
            merged = Links.newest([self.links, links])
        if not len(merged):
            return self
        keys = np.concatenate(affected)
        found = merged.targets_of(keys)
        table = np.frombuffer(b"".join(found), dtype=np.uint8).reshape(-1, 16)
        numbers = [self.sets.number(targets) for targets in found.values()]
        codes = np.asarray(numbers, dtype=np.int32)
        linked = tuple(
            _link(segment, old, keys, table, codes)
            for segment, old in zip(self.segments, self.linked, strict=True)
        )
        return replace(self, links=merged, linked=linked)

    def merged(self, scans: int) -> Contents:
        """Compile the small segments into one, or all when the largest no longer stands out."""
        sizes = [len(segment) for segment in self.segments]
        largest = max(range(len(sizes)), key=sizes.__getitem__)
        rest = [number for number in range(len(sizes)) if number != largest]
        hidden = self.hidden[largest]
        wasted = 0 if hidden is None else int(hidden.sum())
        if wasted + sum(sizes[number] for number in rest) > sizes[largest] // 2:
            return self.compacted(range(len(sizes)), scans)
        return self.compacted(rest, scans)

    def compacted(self, chosen: Sequence[int], scans: int) -> Contents:
        """Compile some segments into one, without what is hidden of them."""
        if not chosen:
            return self
        draft, linked = self.draft(chosen)
        kept = [number for number in range(len(self.segments)) if number not in set(chosen)]
        rest = replace(
            self,
            segments=tuple(self.segments[number] for number in kept),
            hidden=tuple(self.hidden[number] for number in kept),
            linked=tuple(self.linked[number] for number in kept),
        )
        if not len(draft):
            return rest
        whole = rest.with_segment(draft, scans - rest.scans())
        return replace(whole, linked=(*rest.linked, linked))

    def draft(self, chosen: Sequence[int]) -> tuple[Draft, Keys]:
        """The indicators of some segments by id, with their sets of campaigns."""
        drafts, links = [Draft.empty()], [np.zeros(0, dtype=np.int32)]
        for number in chosen:
            segment, hidden, linked = (
                self.segments[number],
                self.hidden[number],
                self.linked[number],
            )
            rows = np.arange(len(segment)) if hidden is None else np.flatnonzero(~hidden)
            drafts.append(segment.draft(rows))
            links.append(np.zeros(len(rows), np.int32) if linked is None else linked[rows])
        draft = Draft.joined(drafts)
        order = newest(draft.facts.keys, draft.facts.modified)
        return draft.take(order), np.concatenate(links)[order]

    def problems(self) -> list[Problem]:
        """Indicators that are not used, and why, by id."""
        found = list(self.nameless)
        keys = np.frombuffer(b"".join(self.dead.reasons), dtype=np.uint8).reshape(-1, 16)
        found += self._told(keys, self.dead.reasons.values())
        for segment, hidden in zip(self.segments, self.hidden, strict=True):
            refused = {
                row: why
                for row, why in segment.complex.refused.items()
                if hidden is None or not hidden[row]
            }
            found += self._told(segment.facts.keys[list(refused)], refused.values())
        return sorted(found, key=lambda problem: problem.indicator_id)

    def _told(self, keys: KeyTable, reasons: Iterable[str]) -> list[Problem]:
        ids = write_ids(keys, "indicator", self.odd).to_pylist()
        return [Problem(one, why) for one, why in zip(ids, reasons, strict=True)]

    def campaigns_of(self, number: int) -> tuple[str, ...]:
        """The ids of campaigns of one set."""
        return tuple(sorted(str(self.words[campaign]) for campaign in self.sets.sets[number]))

    def campaigns(self, numbers: Keys) -> Any:
        """The ids of campaigns (Arrow lists) of N sets."""
        distinct, inverse = np.unique(numbers, return_inverse=True)
        named = [list(self.campaigns_of(number)) for number in distinct.tolist()]
        return pa.array(named, pa.list_(pa.string())).take(pa.array(inverse))


def _hide(segment: Segment, hidden: Mask | None, keys: KeyTable) -> Mask | None:
    at = find_keys(segment.facts.keys, keys)
    at = at[at >= 0]
    if not len(at):
        return hidden
    mask = np.zeros(len(segment), dtype=np.bool_) if hidden is None else hidden.copy()
    mask[at] = True
    return mask


def _link(
    segment: Segment, old: Keys | None, keys: KeyTable, table: KeyTable, codes: Keys
) -> Keys | None:
    """The sets of a segment's indicators: `codes` for `table`, none for others of `keys`."""
    at = find_keys(segment.facts.keys, keys)
    known = find_keys(segment.facts.keys, table)
    if not (at >= 0).any():
        return old
    linked = np.zeros(len(segment), dtype=np.int32) if old is None else old.copy()
    linked[at[at >= 0]] = 0
    linked[known[known >= 0]] = codes[known >= 0]
    return linked
