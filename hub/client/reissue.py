"""Issuing live indicators again when the fingerprint key changed: same id, new token.

A token says nothing without its key, and a new key is made so that who left cannot enumerate what
comes. So the publisher keeps the normalised values behind its own live tokens: on its own machine
only, sealed under the home's key, until the indicator expires or is withdrawn. Who does not want
that declines it, and publishes the files again after a change.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from hub.channel.header import Audience
from hub.channel.manifest import Role
from hub.client.choices import REISSUE, Choices
from hub.client.detections import Author, UnaskedError, token_indicator
from hub.client.direct import Terms, direct_readers, seal_directly
from hub.client.evaluations import Value
from hub.client.forms import fit_buckets, forms_of, known_tokens
from hub.client.home import Home
from hub.client.oblivious import evaluate
from hub.client.preparing import moment_of
from hub.client.publisher import later, seal_objects
from hub.client.releases import Releases
from hub.client.rows import ChannelRow, ObjectRow
from hub.client.values import Values
from hub.client.work import Desk
from hub.errors import AccessError, ConflictError, InputError, TransportError, VerificationError
from hub.fingerprint.tokens import FingerprintKey
from hub.model.codec import Json, dumps
from hub.model.identifiers import parse_timestamp
from hub.model.objects import new_version

__all__ = ["Values", "lagging", "reissue"]


def lagging(home: Home, channel: ChannelRow, now: int) -> list[ObjectRow]:
    """Own live indicators whose tokens lack a fingerprint key under which tokens are made now."""
    keys = [each for each in home.fingerprint_secrets(channel.channel_id) if each.live]
    if not keys:
        return []
    newest = f":{keys[-1].key_id}:".encode()
    token = f":{channel.channel_id[:16]}.".encode()
    moment = moment_of(now)
    return [
        row
        for row in _own_live(home, channel, moment)
        if token in (body := dumps(row.body)) and newest not in body
    ]


def _own_live(home: Home, channel: ChannelRow, moment: datetime) -> Iterable[ObjectRow]:
    for row in home.state.objects(channel.channel_id, ("indicator",), home.member_id):
        until = row.body.get("valid_until")
        ended = isinstance(until, str) and parse_timestamp(until) <= moment
        if not row.revoked and not ended:
            yield row


def reissue(desk: Desk, channel: ChannelRow) -> int:
    """Issue own live indicators under the present key; returns how many were sealed.

    The caller holds the lock, has pulled, and sends. What cannot be done now is done by the next
    pull: `status` tells of it. Values of indicators that ended are erased.

    Raises:
        StoreError: the disk failed.
    """
    home, now = desk.home, desk.clock()
    values = Values(home, channel.channel_id)
    if not values.held():
        return 0
    live = {row.id for row in _own_live(home, channel, moment_of(now))}
    values.retain(live if Choices(home.state).get(REISSUE) else set())
    late = lagging(home, channel, now)
    if not late or channel.trusted is None:
        return 0
    entry = home.trusted(channel).manifest.member(home.member_id)
    if entry is None or Role.PUBLISH not in entry.roles:
        return 0
    known = values.all()
    try:
        made = _made(desk, channel, [row for row in late if row.id in known], known)
        return _seal(desk, channel, made)
    except (AccessError, ConflictError, InputError, TransportError, VerificationError):
        # The channel is stale, or the custodians are not there: nothing is lost by waiting.
        return 0


def _made(
    desk: Desk, channel: ChannelRow, rows: Sequence[ObjectRow], values: Mapping[str, Value]
) -> list[tuple[ObjectRow, Json]]:
    home, moment = desk.home, moment_of(desk.clock())
    author = Author(
        member=home.member_id,
        now=moment,
        keys=[
            FingerprintKey(each.key_id, each.secret)
            for each in home.fingerprint_secrets(channel.channel_id)
            if each.live
        ],
        forms=forms_of(home, channel),
        oblivious=known_tokens(home, channel),
    )
    unasked: dict[Value, None] = {}
    for row in rows:
        try:
            _token(author, row, values[row.id])
        except UnaskedError as error:
            unasked[error.value] = None
    if unasked and author.oblivious is not None:
        evaluate(desk, channel, author.oblivious, unasked)
        author = dataclasses.replace(author, oblivious=known_tokens(home, channel))
    made = [(row, _token(author, row, values[row.id])) for row in rows]
    fit_buckets(
        [each for _, each in made],
        (row.body for row in home.state.objects(channel.channel_id, types=("indicator",))),
        {row.id: row.body for row in rows},
        pending={},
        now=moment,
    )
    return [
        (
            row,
            new_version(
                row.body,
                later(moment, row.body),
                pattern=each["pattern"],
                extensions=row.body["extensions"] | each["extensions"],
            ),
        )
        for row, each in made
        if each["pattern"] != row.body["pattern"]
    ]


def _token(author: Author, row: ObjectRow, value: Value) -> Json:
    start, end = (parse_timestamp(str(row.body[name])) for name in ("valid_from", "valid_until"))
    return token_indicator(
        author,
        value,
        {
            "created_by": author.member,
            "created": author.now,
            "valid_from": start,
            "valid_until": end,
            "object_id": row.id,
        },
    )


def _seal(desk: Desk, channel: ChannelRow, made: Sequence[tuple[ObjectRow, Json]]) -> int:
    home = desk.home
    direct: dict[Terms, list[Json]] = {}
    for row, body in made:
        readers = direct_readers(home, channel, row)
        if readers:
            last = Releases(home.state).of(channel.channel_id, row.id)[-1]
            terms = Terms(readers, last.basis, last.valid_until)
            direct.setdefault(terms, []).append(body)
    detail = [body for row, body in made if row.audience != Audience.DIRECT]
    if detail:
        seal_objects(desk, channel, {Audience.DETAIL: detail}, role=Role.PUBLISH)
    for terms, bodies in direct.items():
        if terms.valid_until is None or terms.valid_until > desk.clock():
            channel = home.state.channel(channel.channel_id)
            seal_directly(desk, channel, bodies, terms, role=Role.PUBLISH)
    return len(made)
