"""What a custodian does, without HTTP: learn channels, evaluate under quotas, destroy keys.

The order of an evaluation is the point. First everything that can be said of the request alone;
then who asks, by signature; then one durable transaction that takes the nonce, charges the quota
and writes the audit; only then the evaluation. A crash can cost a member its charge, never give it
an evaluation that nobody counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hub.channel.card import Card
from hub.channel.custodian_replies import Standing, unframe_messages
from hub.channel.custodians import (
    CLOCK_SKEW,
    EvaluationRequest,
    Quota,
    make_answer,
    parse_request,
)
from hub.custody import audit
from hub.custody.channels import Channels, UnknownError
from hub.custody.folder import Folder
from hub.custody.keys import GoneError, KeyRow, destroy_expired, find_key, load_key
from hub.custody.quota import QuotaExceededError, Rule, Usage, charge, quota_of
from hub.errors import ConflictError, InputError
from hub.fingerprint.oblivious import EvaluationKey

EVERYBODY: Final = ""
"""The member of the rule that holds for members without one of their own."""


class ReplayedError(ConflictError):
    """The request was seen before, or its time is too far from the custodian's."""


class Custodian:
    """One custodian, over its folder; one thread uses it at a time."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self.channels = Channels(folder)
        self._keys: dict[tuple[str, str], EvaluationKey] = {}

    def standing(self, channel: str, now: int) -> Standing:
        """How far a channel is known, and the rows of its keys.

        Raises:
            UnknownError: it is not served here.
        """
        return self.channels.standing(channel, now)

    def learn(self, channel: str, body: bytes, now: int) -> Standing:
        """Take posted manifests and cards.

        Raises:
            InputError, VerificationError: see `Channels.take`.
        """
        self.channels.take(channel, unframe_messages(body), now=now)
        return self.channels.standing(channel, now)

    def evaluate(self, body: bytes, now: int) -> tuple[bytes, int]:
        """Evaluate a request.

        Args:
            body: the request's bytes.
            now: seconds UTC.
        Returns:
            The answer's bytes, and how many elements it has.
        Raises:
            InputError: the form is wrong, or it is meant for another custodian.
            UnknownError: the channel or key is not served here.
            GoneError: the key is no more.
            BehindError, NotAReaderError: see `Channels.reader`.
            VerificationError: a signature does not hold, or an element is none.
            ReplayedError: seen before, or from another time.
            QuotaExceededError: too much.
        """
        request = parse_request(body)
        if request.custodian_id != self._folder.custodian_id:
            raise InputError("is meant for another custodian", where="request.custodian")
        row = find_key(self._folder, request.channel, request.key_id)
        card = self.channels.reader(request.channel, request.man, request.pub, now=now)
        if row is None:
            raise UnknownError("no key for it is served here", where=request.key_id)
        if row.state(now) != "live":
            self._keys.pop((row.channel, row.key_id), None)
            raise GoneError(row)
        request.verify(card.signing)
        if abs(request.ts - now) > CLOCK_SKEW:
            raise ReplayedError(
                f"was made more than {CLOCK_SKEW} s from the custodian's time",
                where="request.ts",
                hint="set the clock, and make a new request",
            )
        # Opened before the charge: nobody pays for a folder that cannot evaluate.
        key = self._key(row)
        quota = self._charge(request, card, now)
        made = key.evaluate(request.elements)
        return make_answer(request, made.elements, made.proof, quota), request.count

    def sweep(self, now: int) -> list[KeyRow]:
        """Destroy the keys whose expiry is past its grace."""
        gone = destroy_expired(self._folder, now=now)
        for row in gone:
            self._keys.pop((row.channel, row.key_id), None)
        return gone

    def _key(self, row: KeyRow) -> EvaluationKey:
        place = (row.channel, row.key_id)
        if place not in self._keys:
            self._keys[place] = load_key(self._folder, row)
        return self._keys[place]

    def _charge(self, request: EvaluationRequest, card: Card, now: int) -> Quota:
        folder, channel, member = self._folder, request.channel, card.member
        rule = rule_of(folder, channel, member)
        with folder.transaction():
            _take_nonce(folder, request, now)
            before, noted = _usage_of(folder, channel, member)
            try:
                after = charge(rule, before, request.count, now)
            except QuotaExceededError as error:
                exceeded = error
            else:
                quota = quota_of(rule, after, now)
                _put_usage(folder, channel, member, after, noted)
                row = ("evaluated", channel, member, request.key_id, request.count, quota.left)
                audit.append(folder, audit.Entry(now, *row))
                return quota
            # Once a day: a member must not fill the disk with its refusals.
            if noted != exceeded.quota.resets:
                usage = before or Usage(now - now % 86_400, 0, 0, now)
                _put_usage(folder, channel, member, usage, exceeded.quota.resets)
                left = exceeded.quota.left
                row = ("exhausted", channel, member, request.key_id, request.count, left)
                audit.append(folder, audit.Entry(now, *row))
        raise exceeded


def rule_of(folder: Folder, channel: str, member: str) -> Rule:
    """A member's rule: its own, else the channel's, else the default."""
    found = folder.rows(
        "SELECT day, burst FROM rule WHERE channel_id=? AND member IN (?,?)"
        " ORDER BY member DESC LIMIT 1",
        (channel, member, EVERYBODY),
    )
    if not found:
        return Rule()
    day, burst = found[0]
    assert isinstance(day, int)
    assert isinstance(burst, int)
    return Rule(day, burst)


def set_rule(folder: Folder, channel: str, member: str, rule: Rule, *, now: int) -> None:
    """Set a member's rule, or that of everybody else.

    Raises:
        UnknownError: the channel is not served here.
    """
    if not folder.rows("SELECT 1 FROM channel WHERE channel_id=?", (channel,)):
        raise UnknownError("this channel is not served here", where=channel[:16])
    with folder.transaction():
        values = (channel, member, rule.day, rule.burst)
        folder.run("INSERT OR REPLACE INTO rule VALUES (?,?,?,?)", values)
        note = f"{rule.day} a day, {rule.burst} at once"
        named = member or None
        audit.append(folder, audit.Entry(now, "quota-set", channel, member=named, note=note))


def usage_of(folder: Folder, channel: str, now: int) -> Sequence[tuple[str, Quota]]:
    """What each member that ever asked has left, by member id."""
    found = []
    sql = "SELECT member FROM usage WHERE channel_id=? ORDER BY member"
    for (member,) in folder.rows(sql, (channel,)):
        usage, _ = _usage_of(folder, channel, str(member))
        found.append((str(member), quota_of(rule_of(folder, channel, str(member)), usage, now)))
    return found


def _take_nonce(folder: Folder, request: EvaluationRequest, now: int) -> None:
    # Kept for as long as the time in the request lets it be taken.
    folder.run("DELETE FROM nonce WHERE ts<?", (now - 2 * CLOCK_SKEW,))
    if folder.rows("SELECT 1 FROM nonce WHERE nonce=?", (request.nonce,)):
        raise ReplayedError(
            "was seen before", where="request.nonce", hint="make a new request, with a new nonce"
        )
    folder.run("INSERT INTO nonce VALUES (?,?)", (request.nonce, request.ts))


def _usage_of(folder: Folder, channel: str, member: str) -> tuple[Usage | None, int]:
    found = folder.rows(
        "SELECT day_start, used, spent, at, noted_day FROM usage WHERE channel_id=? AND member=?",
        (channel, member),
    )
    if not found:
        return None, 0
    day_start, used, spent, at, noted = (int(str(value)) for value in found[0])
    return Usage(day_start, used, spent, at), noted


def _put_usage(folder: Folder, channel: str, member: str, usage: Usage, noted: int) -> None:
    values = (channel, member, usage.day_start, usage.used, usage.spent, usage.at, noted)
    folder.run("INSERT OR REPLACE INTO usage VALUES (?,?,?,?,?,?,?)", values)
