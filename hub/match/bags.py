"""How far the events of one group have come towards a bag: so many of these, so many of those."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Mapping
from typing import Final

from hub.match.binding import can_meet
from hub.match.forms import Bag, Unit, is_timeless
from hub.match.limits import Tally

_NEVER: Final = -(2**62)
_KNOWN: Final = 256


def satisfies(unit: Unit, moment: int, leaves: int) -> bool:
    """Whether an event of that time and those leaves satisfies a unit."""
    return any(leaves & bits and start <= moment < stop for bits, start, stop in unit)


class Masks:
    """Which units an event satisfies, bit by bit; remembered where the time does not matter."""

    def __init__(self, units: tuple[Unit, ...]) -> None:
        self._units = units
        self._timeless = all(is_timeless(unit) for unit in units)
        self._known: dict[int, int] = {}

    def of(self, moment: int, leaves: int) -> int:
        found = self._known.get(leaves)
        if found is None:
            found = 0
            for number, unit in enumerate(self._units):
                if satisfies(unit, moment, leaves):
                    found |= 1 << number
            if self._timeless and len(self._known) < _KNOWN:
                self._known[leaves] = found
        return found


def _met(wanted: tuple[int, ...], counts: Mapping[int, int]) -> bool:
    """Tell whether events of these masks can be given out so that each unit has its number."""
    if sum(counts.values()) < sum(wanted):
        return False
    serving = [
        frozenset(mask for mask in counts if mask >> number & 1) for number in range(len(wanted))
    ]
    for masks, number in zip(serving, wanted, strict=True):
        if sum(counts[mask] for mask in masks) < number:
            return False
    return can_meet(list(zip(serving, wanted, strict=True)), dict(counts))


class Count:
    """One unit so many times, no matter when: nothing need be held."""

    size = 0
    newest = 0

    def __init__(self, unit: Unit, wanted: int) -> None:
        self._unit, self._left = unit, wanted

    def push(self, moment: int, leaves: int, value: Hashable) -> bool:
        self._left -= satisfies(self._unit, moment, leaves)
        return self._left <= 0


class Collected:
    """A bag without a window: how many events of each kind came, up to what is needed."""

    def __init__(self, bag: Bag, masks: Masks, *, distinct: bool) -> None:
        self.size, self.newest = 0, 0
        self._masks = masks
        self._bag, self._is_distinct = bag, distinct
        self._counts: dict[int, int] = {}
        self._units_of: dict[Hashable, int] = {}

    def push(self, moment: int, leaves: int, value: Hashable) -> bool:
        mask = self._masks.of(moment, leaves)
        if not mask:
            return False
        if self._is_distinct:
            before = self._units_of.get(value, 0)
            if before | mask == before:
                return False
            if before:
                self._counts[before] -= 1
            mask |= before
            self._units_of[value] = mask
            self.size = len(self._units_of)
        count = self._counts.get(mask, 0)
        if count >= self._bag.need and not self._is_distinct:
            return False
        self._counts[mask] = count + 1
        return _met(self._bag.wanted, self._counts)


class _Times:
    """Sorted times of which the oldest are dropped."""

    __slots__ = ("_head", "_times")

    def __init__(self) -> None:
        self._times: array[int] = array("q")
        self._head = 0

    def __len__(self) -> int:
        return len(self._times) - self._head

    def __getitem__(self, at: int) -> int:
        return self._times[self._head + at]

    def add(self, moment: int) -> int:
        """Put a time in its place, after equal ones, and tell where that is."""
        times = self._times
        if not len(self) or moment >= times[-1]:
            times.append(moment)
            return len(times) - 1 - self._head
        at = bisect_right(times, moment, lo=self._head)
        times.insert(at, moment)
        return at - self._head

    def drop(self, count: int) -> None:
        self._head += count
        if self._head > 32 and self._head * 2 > len(self._times):
            del self._times[: self._head]
            self._head = 0

    def before(self, moment: int) -> int:
        """How many are older than that."""
        return bisect_left(self._times, moment, lo=self._head) - self._head

    def until(self, moment: int) -> int:
        """How many are no younger than that."""
        return bisect_right(self._times, moment, lo=self._head) - self._head


class Burst:
    """One unit n times within a window: the times of the latest events that satisfy it."""

    __slots__ = (
        "_bits",
        "_head",
        "_tally",
        "_times",
        "_unit",
        "_wanted",
        "_window",
        "newest",
        "size",
    )

    def __init__(self, bag: Bag, tally: Tally) -> None:
        assert bag.window is not None
        self.size, self.newest = 0, _NEVER
        self._unit, self._wanted, self._window = bag.units[0], bag.wanted[0], bag.window
        self._bits = self._unit[0][0] if is_timeless(self._unit) else 0
        self._tally = tally
        self._times: array[int] = array("q")
        self._head = 0

    def push(self, moment: int, leaves: int, value: Hashable) -> bool:
        if not (leaves & self._bits or satisfies(self._unit, moment, leaves)):
            return False
        times, wanted = self._times, self._wanted
        if moment >= self.newest:
            self.newest = moment
            times.append(moment)
            first = len(times) - wanted
            held = first >= self._head and moment - times[first] <= self._window
        elif moment < self.newest - self._tally.lateness:
            self._tally.report.late += 1
            return False
        else:
            held = self._held_late(moment)
        self._drop(self.newest - self._tally.lateness)
        return held

    def _held_late(self, moment: int) -> bool:
        """Put a late event in its place, and look at every window that it is in."""
        times, wanted = self._times, self._wanted
        at = bisect_right(times, moment, lo=self._head)
        times.insert(at, moment)
        last = min(at, len(times) - wanted)
        return any(
            times[first + wanted - 1] - times[first] <= self._window
            for first in range(max(self._head, at - wanted + 1), last + 1)
        )

    def _drop(self, horizon: int) -> None:
        """What is too old for any window to come, or more than a window can need."""
        times, head, wanted = self._times, self._head, self._wanted
        oldest, size = horizon - self._window, len(times)
        while head < size and times[head] < oldest:
            head += 1
        while head + wanted < size and times[head + wanted] <= horizon:
            head += 1
        over = size - head - self._tally.limits.hits_per_group
        if over > 0:
            self._tally.report.evicted += over
            head += over
        if head > 32 and head * 2 > size:
            del times[:head]
            head = 0
        self._head = head
        self.size = len(times) - head


class Pool:
    """Several units within a window: the times of the events, by which units they satisfy."""

    def __init__(self, bag: Bag, masks: Masks, tally: Tally) -> None:
        assert bag.window is not None
        self.size, self.newest = 0, _NEVER
        self._masks = masks
        self._bag, self._window, self._tally = bag, bag.window, tally
        self._times: dict[int, _Times] = {}

    def push(self, moment: int, leaves: int, value: Hashable) -> bool:
        mask = self._masks.of(moment, leaves)
        if not mask:
            return False
        self.newest = max(self.newest, moment)
        horizon = self.newest - self._tally.lateness
        if moment < horizon:
            self._tally.report.late += 1
            return False
        self._times.setdefault(mask, _Times()).add(moment)
        self._drop(horizon)
        return any(self._met_from(start) for start in self._starts(moment))

    def _starts(self, moment: int) -> set[int]:
        """Where the windows begin that hold the event, one for each different one."""
        if moment == self.newest:
            return {moment - self._window}
        return {
            times[at]
            for times in self._times.values()
            for at in range(times.before(moment - self._window), times.until(moment))
        }

    def _met_from(self, start: int) -> bool:
        counts = {
            mask: times.until(start + self._window) - times.before(start)
            for mask, times in self._times.items()
        }
        return _met(self._bag.wanted, counts)

    def _drop(self, horizon: int) -> None:
        need, room = self._bag.need, self._tally.limits.hits_per_group
        self.size = 0
        for mask, times in list(self._times.items()):
            useless = times.before(horizon - self._window)
            while useless + need < len(times) and times[useless + need] <= horizon:
                useless += 1
            times.drop(useless)
            if len(times) > room:
                self._tally.report.evicted += len(times) - room
                times.drop(len(times) - room)
            if not len(times):
                del self._times[mask]
            self.size += len(times)


class Distinct:
    """A bag within a window that counts values: when each was last seen with each unit.

    A late event is judged at its own time; the window that ends at the newest event is the only
    one looked at.
    """

    def __init__(self, bag: Bag, masks: Masks, tally: Tally) -> None:
        assert bag.window is not None
        self.size, self.newest = 0, _NEVER
        self._masks = masks
        self._bag, self._window, self._tally = bag, bag.window, tally
        self._seen: dict[tuple[Hashable, int], int] = {}

    def push(self, moment: int, leaves: int, value: Hashable) -> bool:
        mask = self._masks.of(moment, leaves)
        if not mask:
            return False
        self.newest = max(self.newest, moment)
        if moment < self.newest - self._tally.lateness:
            self._tally.report.late += 1
            return False
        known = self._seen.pop((value, mask), moment)
        self._seen[value, mask] = max(known, moment)
        if moment < self.newest:
            self._seen = dict(sorted(self._seen.items(), key=lambda item: item[1]))
        self._drop()
        if len(self._seen) < self._bag.need:
            return False
        units: dict[Hashable, int] = {}
        for one, satisfied in self._seen:
            units[one] = units.get(one, 0) | satisfied
        counts: dict[int, int] = {}
        for satisfied in units.values():
            counts[satisfied] = counts.get(satisfied, 0) + 1
        return _met(self._bag.wanted, counts)

    def _drop(self) -> None:
        stale = []
        for key, moment in self._seen.items():
            if moment >= self.newest - self._window:
                break
            stale.append(key)
        room = self._tally.limits.hits_per_group
        if len(self._seen) - len(stale) > room:
            keys = list(self._seen)
            self._tally.report.evicted += len(keys) - len(stale) - room
            stale = keys[: len(keys) - room]
        for key in stale:
            del self._seen[key]
        self.size = len(self._seen)
