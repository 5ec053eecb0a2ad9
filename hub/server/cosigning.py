"""Cosignatures of witnesses, fetched in the background and kept beside the newest checkpoints.

Only logs of channels whose manifest names witnesses are sent to them: a witness learns the names
and sizes of the logs that it is asked about. What it answers is kept only if it verifies under a
key that the manifest names, so that no witness can spoil another's line.

What members are given never falls behind what they were given before: either a cosigned checkpoint
of the very size that the log has, or the newest one with whatever cosignatures it has got.

Source: C2SP tlog-witness; schemas/channel-v1.md, "Log".
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from hub.channel.log.checkpoint import cosigned_at
from hub.channel.log.note import KeyType, SignatureLine, add_lines, parse_key, parse_note
from hub.channel.manifest import Manifest
from hub.channel.policy import Witnesses
from hub.errors import InputError, StillwatchError, StoreError, VerificationError
from hub.server.admission import Admission
from hub.server.calls import StoreCalls
from hub.server.closing import in_a_thread
from hub.server.logbook import Logbook, Signed
from hub.server.submission import Submission, Submit
from hub.settings import WitnessSettings
from hub.store.interface import Store
from hub.store.records import CheckpointRow, Kind

_logger = logging.getLogger("stillwatch.cosigning")
_THREADS: Final = 4
_LONGEST_PAUSE: Final = 60.0


@dataclass(slots=True)
class _Round:
    """One checkpoint on its way round the witnesses.

    Args:
        signed: the checkpoint, with the hub's signature only.
        began: on the monotonic clock.
        lines: what witnesses answered.
        answered: URLs of those that did.
    """

    signed: Signed
    began: float
    lines: list[SignatureLine] = field(default_factory=list)
    answered: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Cosigned:
    """A checkpoint with the cosignatures that verify.

    Args:
        signed: with them in `raw`.
        quorum: whether they are as many as the manifest asks for.
        began: when the checkpoint was signed, on the monotonic clock.
    """

    signed: Signed
    quorum: bool
    began: float


class _Pause:
    """When a witness that failed is asked again."""

    def __init__(self) -> None:
        self.until = 0.0
        self._length = 0.0

    def failed(self, now: float) -> None:
        if now < self.until:
            # Several exchanges were under way: that is one failure.
            return
        self._length = min(max(1.0, 2 * self._length), _LONGEST_PAUSE)
        self.until = now + self._length

    def answered(self) -> None:
        self._length = self.until = 0.0


class Cosigner:
    """See the module's text.

    Args:
        settings: which witnesses, and how patient to be with them.
        store: which collections there are.
        logbook: checkpoints and proofs.
        admission: the manifests in force.
        submit: one exchange with one witness; blocks.
        calls: runs what asks the store.
        monotonic: clock in seconds.
        wall: seconds UTC.
    """

    def __init__(
        self,
        settings: WitnessSettings,
        store: Store,
        logbook: Logbook,
        admission: Admission,
        submit: Submit,
        calls: StoreCalls,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._wall = wall
        self._settings = settings
        self._store = store
        self._logbook = logbook
        self._admission = admission
        self._submit = submit
        self._monotonic = monotonic
        self._rounds: dict[str, _Round] = {}
        self._cosigned: dict[str, _Cosigned] = {}
        self._seen: dict[tuple[str, str], int] = {}
        self._pauses = {url: _Pause() for url in settings.urls}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._calls = calls
        self.answered = self.failed = 0
        # Each has its own threads: one that does not answer must not keep the others waiting.
        self._callers = {
            url: ThreadPoolExecutor(_THREADS, thread_name_prefix="stillwatch-cosign")
            for url in settings.urls
        }

    async def checkpoint(self, collection_id: str) -> Signed:
        """What to give a member: with a quorum, if witnesses give one within the bounded wait.

        Raises:
            InputError, StoreError: as `Logbook.newest`.
        """
        newest = await self._newest(collection_id)
        if self._asked(collection_id) is None:
            return newest
        await self._recall(collection_id)
        # What was shown to anybody before now must be covered; a busy log may be ahead already.
        needed = newest.size
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.answer_seconds):
                while not self._has_quorum(collection_id, needed):
                    if not self._is_due(collection_id, needed):
                        break
                    # One that runs may have begun before that.
                    await asyncio.shield(self._begin(collection_id))
                    # One that has ended already would be found here for ever.
                    await asyncio.sleep(0)
        best = self._best(collection_id, needed)
        return best or await self._newest(collection_id)

    async def run(self) -> None:
        """Cosign whatever grew, until cancelled."""
        while True:
            for collection_id in await asyncio.to_thread(self._due):
                self._begin(collection_id)
            await asyncio.sleep(self._settings.look_seconds)

    def standing(self, collection_ids: Iterable[str]) -> tuple[int, float]:
        """For metrics: logs that lack their quorum, and the age of the oldest that has it.

        Args:
            collection_ids: those that carry logs.
        """
        now, lacking, oldest = self._monotonic(), 0, 0.0
        for collection_id in collection_ids:
            if self._asked(collection_id) is None:
                continue
            found = self._cosigned.get(collection_id)
            if found is None or not found.quorum:
                lacking += 1
            else:
                oldest = max(oldest, now - found.began)
        return lacking, oldest

    async def close(self) -> None:
        """Break off what is running."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for caller in self._callers.values():
            await in_a_thread(partial(caller.shutdown, wait=True, cancel_futures=True))

    async def _recall(self, collection_id: str) -> None:
        """Take what was cosigned before a restart, or by another process, if it is better."""
        try:
            row = await self._calls.short(self._store.checkpoint, collection_id)
        except StoreError as error:
            _warn("no kept checkpoint could be read", collection_id, error)
            return
        # Of another public URL, or from before a restore: that is another log.
        if row is None or not row.raw.startswith(self._logbook.origin(collection_id) + "\n"):
            return
        known = self._cosigned.get(collection_id)
        if known is None or (known.signed.size, known.quorum) < (row.size, row.quorum):
            age = max(0.0, self._wall() - row.time)
            signed = Signed(row.raw, row.size, row.time)
            kept = _Cosigned(signed, row.quorum, self._monotonic() - age)
            self._cosigned[collection_id] = kept

    async def _remember(self, collection_id: str) -> None:
        """Keep the best for the time after a restart, and for other processes."""
        best = self._cosigned.get(collection_id)
        if best is None:
            return
        row = CheckpointRow(best.signed.size, best.signed.time, best.quorum, best.signed.raw)
        try:
            await self._calls.long(self._store.put_checkpoint, collection_id, row)
        except StillwatchError as error:
            _warn("a cosigned checkpoint could not be kept", collection_id, error)

    async def _newest(self, collection_id: str) -> Signed:
        return await self._calls.long(self._logbook.newest, collection_id)

    def _due(self) -> list[str]:
        try:
            return [
                collection.id
                for collection in self._store.collections()
                if collection.kind is Kind.CHANNEL
                and self._asked(collection.id) is not None
                and self._is_due(collection.id, self._store.log_size(collection.id))
            ]
        except StillwatchError as error:
            _warn("the logs could not be looked at", "", error)
            return []

    def _asked(self, collection_id: str) -> Witnesses | None:
        """The witnesses that the channel's manifest names, if this hub can ask any."""
        if not self._settings.urls or not self._logbook.kept:
            return None
        manifest = self._manifest(collection_id)
        return None if manifest is None else manifest.witnesses

    def _manifest(self, collection_id: str) -> Manifest | None:
        channel = self._admission.known(collection_id)
        return None if channel is None else channel.manifest

    def _is_due(self, collection_id: str, size: int) -> bool:
        """Whether some witness that is not paused should see a checkpoint of this size."""
        if not size:
            # The genesis is known a moment before it is stored.
            return False
        current = self._current(collection_id, size)
        return any(current is None or url not in current.answered for url in self._ready())

    def _current(self, collection_id: str, size: int) -> _Round | None:
        """The last round, if its checkpoint covers so much and has not become old."""
        found = self._rounds.get(collection_id)
        if found is None or found.signed.size < size:
            return None
        age = self._monotonic() - found.began
        return found if age < self._settings.refresh_seconds else None

    def _ready(self) -> list[str]:
        now = self._monotonic()
        return [url for url, pause in self._pauses.items() if pause.until <= now]

    def _has_quorum(self, collection_id: str, size: int) -> bool:
        found = self._cosigned.get(collection_id)
        if found is None or not found.quorum or found.signed.size < size:
            return False
        return self._monotonic() - found.began < self._settings.refresh_seconds

    def _best(self, collection_id: str, size: int) -> Signed | None:
        """The checkpoint with cosignatures, if it covers so much and members still take it."""
        found, manifest = self._cosigned.get(collection_id), self._manifest(collection_id)
        if found is None or manifest is None or found.signed.size < size:
            return None
        age = self._monotonic() - found.began
        return found.signed if age < manifest.policy.staleness else None

    def _begin(self, collection_id: str) -> asyncio.Task[None]:
        """Cosign one log; at one time it is done once."""
        running = self._running.get(collection_id)
        if running is None:
            running = self._running[collection_id] = asyncio.create_task(self._go(collection_id))
            running.add_done_callback(lambda _: self._running.pop(collection_id, None))
        return running

    async def _go(self, collection_id: str) -> None:
        asked = self._asked(collection_id)
        if asked is None:
            return
        try:
            newest = await self._newest(collection_id)
        except StillwatchError as error:
            _warn("no checkpoint could be signed", collection_id, error)
            return
        current = self._current(collection_id, newest.size)
        if current is None:
            current = self._rounds[collection_id] = _Round(newest, self._monotonic())
        loop = asyncio.get_running_loop()
        missing = [url for url in self._ready() if url not in current.answered]
        asking = [
            loop.run_in_executor(self._callers[url], self._ask, url, collection_id, current.signed)
            for url in missing
        ]
        for answer in asyncio.as_completed(asking):
            url, lines = await answer
            if lines is None:
                self.failed += 1
            else:
                self.answered += 1
                current.answered.add(url)
                current.lines += lines
                self._keep(collection_id, current, asked)
                await self._remember(collection_id)

    def _keep(self, collection_id: str, current: _Round, asked: Witnesses) -> None:
        """Put the lines that verify under the checkpoint, and give it out from now on."""
        raw, count = current.signed.raw, 0
        for text in asked.verifier_keys:
            key = parse_key(text, KeyType.WITNESS)
            for line in (one for one in current.lines if one.is_of(key)):
                with contextlib.suppress(InputError, VerificationError):
                    cosigned_at(parse_note(add_lines(current.signed.raw, [line])), key)
                    raw, count = add_lines(raw, [line]), count + 1
                    break
        quorum = count >= asked.quorum
        before = self._cosigned.get(collection_id)
        # A fresher checkpoint of the same size must not cost members the quorum that they had.
        keeps = before is not None and before.quorum and before.signed.size == current.signed.size
        if count and (quorum or not keeps):
            signed = Signed(raw, current.signed.size, current.signed.time)
            self._cosigned[collection_id] = _Cosigned(signed, quorum, current.began)

    def _ask(
        self, url: str, collection_id: str, signed: Signed
    ) -> tuple[str, Sequence[SignatureLine] | None]:
        """One witness's lines, unverified; None when it does not cosign, which is logged."""
        if self._pauses[url].until > self._monotonic():
            # It failed while this exchange waited for a thread.
            return url, None
        submission = Submission(
            raw=signed.raw,
            size=signed.size,
            proof=lambda old: self._logbook.consistency(collection_id, old, signed.size),
        )
        old = min(self._seen.get((url, collection_id), 0), signed.size)
        try:
            lines = self._submit(url, submission, old)
        except StillwatchError as error:
            self._pauses[url].failed(self._monotonic())
            _warn("a witness did not cosign", collection_id, error)
            return url, None
        self._pauses[url].answered()
        self._seen[url, collection_id] = signed.size
        return url, lines


def _warn(what: str, collection_id: str, error: StillwatchError) -> None:
    fields = {"collection": collection_id, "cause": str(error)}
    _logger.warning(what, extra={"fields": fields})
