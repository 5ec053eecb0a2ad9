"""Oblivious tokens of identifiers: what is known here, and asking the two custodians for the rest.

Values are blinded, evaluated by both custodians in batches that each is proven, and combined under
the fingerprint key. What a custodian evaluated is kept before the next one is asked, so that a run
that ends early goes on where it stopped, and nothing is asked twice.
Source: schemas/channel-v1.md, "Oblivious tokens"; RFC 9497.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from hub.channel.custodian_replies import Refusal
from hub.channel.custodians import (
    Custodian,
    Quota,
    make_request,
    parse_answer,
)
from hub.client import evaluations
from hub.client.custodian_port import CustodianPort, Reach, RefusedError, reach
from hub.client.custodians import Custodians
from hub.client.erasure import expired_keys
from hub.client.evaluations import Value
from hub.client.known_tokens import KnownTokens
from hub.client.membership_feed import feed
from hub.client.rows import ChannelRow
from hub.client.work import Desk, own_card
from hub.errors import AccessError, ConflictError, StillwatchError, TransportError
from hub.fingerprint.oblivious import MAX_BATCH, Blinding, blind, token_input

_KEPT: Final = "what was evaluated is kept: the same command goes on from there"
_ATTEMPTS: Final = 4
_LEAST: Final = 256

Advance = Callable[[float], None]


class QuotaError(AccessError):
    """A custodian evaluates no more for this member now."""


def evaluate(
    desk: Desk,
    channel: ChannelRow,
    known: KnownTokens,
    values: Iterable[Value],
    *,
    advance: Advance = lambda amount: None,
    reach: Reach = reach,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Have both custodians evaluate what is not known yet.

    Args:
        known: takes up what comes.
        advance: told of each value that is done.
        reach, sleep: given by tests.
    Returns:
        How many values were asked.
    Raises:
        QuotaError: a custodian's quota is used up.
        TransportError: a custodian cannot be reached, or answers outside its protocol.
        VerificationError: a custodian answers with another key, or something was altered.
        GoneError: a custodian's key has expired or was destroyed.
        ConflictError, AccessError: a custodian refuses.
        What was evaluated until then is kept in any case.
    """
    home = desk.home
    held = {each.key_id for each in home.fingerprint_secrets(channel.channel_id)}
    # An indicator may outlive its key, and its custodians' keys: it matches by what is kept.
    held.difference_update(expired_keys(home, channel, desk.clock()))
    evaluations.forget(home, channel.channel_id, keep=held)
    missing = known.missing(values)
    if not missing:
        return 0
    for custodian in known.custodians:
        if custodian.expires <= desk.clock():
            raise _gone(custodian, "it has expired")
    with _Asking(desk, channel, known, reach, sleep) as asking:
        done, size = 0, MAX_BATCH
        while done < len(missing):
            batch = missing[done : done + size]
            try:
                asking.batch(batch)
            except _SmallerError as smaller:
                size = smaller.size
                continue
            except StillwatchError as error:
                raise _telling(error, done, len(missing)) from error
            done += len(batch)
            advance(len(batch))
    return done


def _telling(error: StillwatchError, done: int, total: int) -> StillwatchError:
    said = f"{error.message}; {done:,} of {total:,} identifiers were evaluated before"
    hint = f"{error.hint}; {_KEPT}" if error.hint else _KEPT
    return type(error)(said, where=error.where, hint=hint)


class GoneError(ConflictError):
    """A custodian's key has expired or was destroyed: only kept tokens match."""


class _SmallerError(Exception):
    """The batch is more than the custodian takes at once; `size` of it would do."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


class _Asking:
    """The custodians of one key while they are asked."""

    def __init__(
        self,
        desk: Desk,
        channel: ChannelRow,
        known: KnownTokens,
        reach: Reach,
        sleep: Callable[[float], None],
    ) -> None:
        self._desk, self._channel, self._known = desk, channel, known
        self._sleep = sleep
        self._told = Custodians(desk.home.state, channel.channel_id)
        trusted = desk.home.trusted(channel)
        self._man = trusted.manifest.hash
        card = own_card(desk.home, trusted, channel)
        self._signing = next(
            each.signing for each in desk.home.keyring.cards if each.card.hash == card.hash
        )
        self._ports: list[CustodianPort] = [
            reach(each, self._told.way(each.custodian_id), desk.home.settings)
            for each in known.custodians
        ]

    def __enter__(self) -> _Asking:
        return self

    def __exit__(self, *error: object) -> None:
        for port in self._ports:
            port.close()

    def batch(self, values: Sequence[Value]) -> None:
        """Have both custodians evaluate a batch; one blinding serves both."""
        blinding: tuple[tuple[Value, ...], Blinding] | None = None
        for side, outputs in enumerate(self._known.outputs):
            need = tuple(each for each in values if outputs.get(each) is None)
            if not need:
                continue
            if blinding is None or blinding[0] != need:
                blinding = need, blind([token_input(*each) for each in need])
            outputs.add(need, self._ask(side, blinding[1]), self._desk.clock())

    def _ask(self, side: int, blinding: Blinding) -> list[bytes]:
        """One custodian's outputs, verified."""
        custodian, fed = self._known.custodians[side], False
        for attempt in range(_ATTEMPTS):
            last = attempt + 1 == _ATTEMPTS
            try:
                return self._once(side, blinding)
            except TransportError:
                if last:
                    raise
                self._sleep(self._pause(attempt, None))
            except RefusedError as error:
                refusal = error.refusal
                if refusal.quota is not None:
                    self._note(custodian, refusal.quota)
                if refusal.code == "behind" and not fed:
                    self._feed(side)
                    fed = True
                elif last or not self._worth_waiting(refusal, attempt):
                    raise _refused(custodian, refusal, len(blinding)) from error
        raise TransportError("refuses again and again", where=_name(custodian))

    def _once(self, side: int, blinding: Blinding) -> list[bytes]:
        custodian = self._known.custodians[side]
        request = make_request(
            self._signing,
            custodian,
            blinding.elements,
            channel=self._channel.channel_id,
            man=self._man,
            now=self._desk.clock(),
        )
        answer = parse_answer(self._ports[side].evaluate(request.raw), request)
        outputs = blinding.finalize(
            answer.elements, answer.proof, custodian.public_key, where=_name(custodian)
        )
        self._note(custodian, answer.quota)
        return outputs

    def _note(self, custodian: Custodian, quota: Quota) -> None:
        self._told.put_told(custodian.custodian_id, quota, self._desk.clock())

    def _feed(self, side: int) -> None:
        """Tell a custodian who is a member."""
        port, name = self._ports[side], _name(self._known.custodians[side])
        try:
            standing = port.standing(self._channel.channel_id)
            for body in feed(self._desk, self._channel, standing):
                port.post(self._channel.channel_id, body)
        except RefusedError as error:
            said = f"does not take the channel's manifests and cards: {error.refusal.message}"
            raise ConflictError(said, where=name, hint=error.refusal.hint) from error

    def _worth_waiting(self, refusal: Refusal, attempt: int) -> bool:
        """Whether the same batch may be asked again in a moment; waits for it."""
        if refusal.code == "replayed":
            return True
        if refusal.code not in ("quota", "unavailable"):
            return False
        if refusal.code == "quota" and refusal.retry_after is None:
            return False
        after = refusal.retry_after
        if after is not None and after > self._desk.home.settings.backoff_cap_s:
            return False
        self._sleep(self._pause(attempt, after))
        return True

    def _pause(self, attempt: int, after: int | None) -> float:
        settings = self._desk.home.settings
        if after is not None:
            return float(after)
        return float(min(settings.backoff_base_s * 2**attempt, settings.backoff_cap_s))


def _name(custodian: Custodian) -> str:
    return f"custodian {custodian.custodian_id}"


def _refused(custodian: Custodian, refusal: Refusal, size: int) -> Exception:
    """What a refusal means to whoever asked."""
    where, said = _name(custodian), refusal.message
    if refusal.code == "too-large" and size > 1:
        return _SmallerError(size // 2)
    if refusal.code == "quota":
        return _exhausted(custodian, refusal, size)
    if refusal.code == "unavailable":
        return TransportError(f"cannot evaluate now: {said}", where=where, hint=refusal.hint)
    if refusal.code in ("destroyed", "expired"):
        return _gone(custodian, said)
    if refusal.code in ("not-a-reader", "not-verified"):
        return AccessError(f"does not evaluate for this member: {said}", where=where)
    return ConflictError(f"refuses ({refusal.code}): {said}", where=where, hint=refusal.hint)


def _gone(custodian: Custodian, said: str) -> GoneError:
    return GoneError(
        f"its key for {custodian.key_id} is gone: {said}",
        where=_name(custodian),
        hint="new tokens need a new fingerprint key and custodians that an owner states for it",
    )


def _exhausted(custodian: Custodian, refusal: Refusal, size: int) -> Exception:
    quota = refusal.quota
    if quota is not None:
        most = min(quota.left, quota.burst_left)
        # What trickles in while we ask is not worth a request of its own.
        if 0 < most < size and (most == quota.left or most >= _LEAST):
            return _SmallerError(most)
    if quota is None or quota.left > 0:
        after = refusal.retry_after
        when = "later" if after is None else f"in {_spoken(after)}"
    else:
        when = f"after {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime(quota.resets))}"
    return QuotaError(
        "this member's quota is used up", where=_name(custodian), hint=f"run it again {when}"
    )


def _spoken(seconds: int) -> str:
    return f"{seconds} seconds" if seconds < 120 else f"{-(-seconds // 60)} minutes"
