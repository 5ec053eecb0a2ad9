"""First contact: invitations, join requests, and the binding of a hub account to a member.

An invitation travels out of band. It pins the channel and its owners' roots for the joiner, and its
one-use secret proves to the owner that the join request comes from the invited. The hub checks the
form and the signature of a join request; only the owner can check its MAC.
Source: schemas/channel-v1.md, "First contact".
"""

from __future__ import annotations

import base64
import binascii
import secrets as _random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from hub.channel.card import MAX_CARD, MAX_CHAIN, Card, check_chain, parse_card
from hub.channel.fields import SUITE, VERSION, Fields, check_ascending, to_base64
from hub.channel.manifest import Role
from hub.channel.policy import MAX_OWNERS
from hub.channel.primitives.hash import (
    Reader,
    digest,
    equal,
    hmac_sha256,
    label,
    lp,
    sha256,
    unhex,
)
from hub.channel.primitives.sign import SIGNATURE_SIZE, SigningPrivate
from hub.errors import InputError, VerificationError
from hub.model.codec import canonical, loads_canonical

PREFIX: Final = "stillwatch-invite1:"
SECRET_SIZE: Final = 32
MAX_TEXT: Final = 16 * 1024
# A chain of the most cards that one may hold.
MAX_JOIN: Final = 2**20
_CHECKSUM_SIZE: Final = 4
_CLOCK_SKEW: Final = 600
_INVITATION: Final = (
    "v",
    "channel",
    "owners",
    "api_root",
    "collection",
    "inbox",
    "secret",
    "roles",
    "organisation",
    "sponsor",
    "expires",
)


@dataclass(frozen=True)
class Invitation:
    """What an owner hands to one organisation, out of band.

    Args:
        channel: channel id.
        owners: root ids of the channel's owners, ascending.
        api_root: URL of the hub's API root.
        collection: id of the channel's collection.
        inbox: id of the collection for join requests, or None where the server has none.
        secret: 32 bytes, for one use.
        roles: what the organisation is invited to be.
        organisation: whom it is for.
        sponsor: root id of the owner who invites.
        expires: seconds UTC.
    """

    channel: str
    owners: tuple[str, ...]
    api_root: str
    collection: str
    inbox: str | None
    secret: bytes = field(repr=False)
    roles: frozenset[Role]
    organisation: str
    sponsor: str
    expires: int

    @property
    def id(self) -> str:
        """What a join request names it by; tells nothing of the secret."""
        return digest(label("invitation id") + lp(self.secret))

    @cached_property
    def text(self) -> str:
        """One line to hand over; whoever reads it can ask to join."""
        data = canonical(
            {
                "v": VERSION,
                "channel": self.channel,
                "owners": list(self.owners),
                "api_root": self.api_root,
                "collection": self.collection,
                "inbox": self.inbox,
                "secret": to_base64(self.secret),
                "roles": sorted(str(role) for role in self.roles),
                "organisation": self.organisation,
                "sponsor": self.sponsor,
                "expires": self.expires,
            }
        )
        return PREFIX + base64.urlsafe_b64encode(data + _checksum(data)).decode().rstrip("=")


def new_invitation(
    *,
    channel: str,
    owners: Sequence[str],
    api_root: str,
    collection: str,
    inbox: str | None,
    roles: Collection[Role],
    organisation: str,
    sponsor: str,
    expires: int,
    secret: bytes | None = None,
) -> Invitation:
    """A new invitation with a fresh secret.

    Args:
        channel, owners, api_root, collection, inbox, roles, organisation, sponsor, expires: as in
            `Invitation`.
        secret: 32 bytes; random if None.
    Raises:
        InputError: no receiver would accept it.
    """
    invitation = Invitation(
        channel=channel,
        owners=tuple(sorted(owners)),
        api_root=api_root,
        collection=collection,
        inbox=inbox,
        secret=_random.token_bytes(SECRET_SIZE) if secret is None else secret,
        roles=frozenset(roles),
        organisation=organisation,
        sponsor=sponsor,
        expires=expires,
    )
    return parse_invitation(invitation.text)


def parse_invitation(text: str) -> Invitation:
    """Read an invitation; white space around and inside the line is ignored.

    Raises:
        InputError: not an invitation, or mistyped or cut off.
    """
    line = "".join(text.split())
    where = "invitation"
    if len(line) > MAX_TEXT or not line.startswith(PREFIX):
        raise InputError(f"an invitation begins with {PREFIX}", where=where)
    encoded = line.removeprefix(PREFIX)
    try:
        data = base64.b64decode(
            encoded.encode("ascii") + b"=" * (-len(encoded) % 4), altchars=b"-_", validate=True
        )
    except (binascii.Error, UnicodeEncodeError):
        raise InputError("mistyped or cut off", where=where) from None
    spelled = base64.urlsafe_b64encode(data).decode().rstrip("=")
    data, checksum = data[:-_CHECKSUM_SIZE], data[-_CHECKSUM_SIZE:]
    if spelled != encoded or checksum != _checksum(data):
        raise InputError("mistyped or cut off", where=where)
    fields = Fields(loads_canonical(data, where=where, max_bytes=MAX_TEXT), where, _INVITATION)
    fields.integer("v", least=VERSION, most=VERSION)
    roles = fields.array("roles", most=len(Role))
    if not roles or not all(isinstance(role, str) and role in set(Role) for role in roles):
        raise InputError(f"roles are {[str(role) for role in Role]}", where="invitation.roles")
    check_ascending(roles, "invitation.roles")
    owners = fields.hashes("owners", most=MAX_OWNERS)
    if not owners:
        raise InputError("at least one owner is expected", where="invitation.owners")
    return Invitation(
        channel=fields.hash("channel"),
        owners=owners,
        api_root=fields.text("api_root", most=2048),
        collection=fields.text("collection"),
        inbox=None if fields.raw("inbox") is None else fields.text("inbox"),
        secret=fields.data("secret", size=SECRET_SIZE),
        roles=frozenset(Role(role) for role in roles),
        organisation=fields.text("organisation"),
        sponsor=fields.hash("sponsor"),
        expires=fields.time("expires"),
    )


@dataclass(frozen=True)
class JoinRequest:
    """A join request of correct form, card chain and signature.

    Args:
        channel: channel id.
        invitation: id of the invitation that it answers.
        cards: the joiner's cards, oldest first.
        mac: what only a holder of the invitation's secret can make; unchecked.
        created: seconds UTC.
        raw: the whole request.
        digest: SHA-256 of `raw` in hex.
    """

    channel: str
    invitation: str
    cards: tuple[Card, ...]
    mac: bytes = field(repr=False)
    created: int
    raw: bytes = field(repr=False)
    digest: str

    @property
    def card(self) -> Card:
        """The newest card."""
        return self.cards[-1]

    @property
    def member(self) -> str:
        """STIX id of the joiner's identity."""
        return self.card.member


def join_request(
    invitation: Invitation, cards: Sequence[bytes], signing: SigningPrivate, *, now: int
) -> bytes:
    """Answer an invitation.

    Args:
        invitation: as received.
        cards: the joiner's cards, oldest first.
        signing: the signing pair of the newest card.
        now: seconds UTC.
    Raises:
        InputError: no cards, or `signing` is not the newest card's.
        VerificationError: the invitation has expired, or the cards are no chain.
    """
    if now > invitation.expires:
        raise VerificationError("the invitation has expired", where="invitation")
    card = check_chain([parse_card(raw) for raw in cards])
    if card.sign_id != signing.public.id:
        raise InputError("not the signing pair of the newest card", where="join request")
    head = canonical(
        {
            "v": VERSION,
            "suite": SUITE,
            "channel": invitation.channel,
            "invitation": invitation.id,
            "mac": _mac(invitation, card).hex(),
            "created": now,
        }
    )
    chain = b"".join(lp(raw) for raw in cards)
    signature = signing.sign(_join_signed(head, chain))
    return label("join request") + lp(head) + lp(chain) + lp(signature)


def parse_join(raw: bytes) -> JoinRequest:
    """Read a join request; check its card chain and signature: all that the hub can check.

    Raises:
        InputError: the form is wrong.
        VerificationError: a card or the signature does not hold.
    """
    where = "join request"
    fields, head, chain, signature = _join_parts(raw, where)
    request = JoinRequest(
        channel=fields.hash("channel"),
        invitation=fields.hash("invitation"),
        cards=_cards(chain),
        mac=unhex(fields.hash("mac")),
        created=fields.time("created"),
        raw=raw,
        digest=digest(raw),
    )
    check_chain(request.cards)
    request.card.signing.verify(signature, _join_signed(head, chain), where=where)
    return request


def invitation_of(raw: bytes) -> str:
    """Id of the invitation that a join request names; nothing but its form is checked.

    Raises:
        InputError: the form is wrong.
        VerificationError: the version or suite is unknown.
    """
    return _join_parts(raw, "join request")[0].hash("invitation")


def _join_parts(raw: bytes, where: str) -> tuple[Fields, bytes, bytes, bytes]:
    """The JSON of a join request, its bytes, the cards and the signature."""
    if len(raw) > MAX_JOIN:
        raise InputError(f"{len(raw)} bytes exceed {MAX_JOIN}", where=where)
    reader = Reader(raw, where)
    reader.label("join request")
    head = reader.field("json", most=4096)
    chain = reader.field("cards", most=MAX_JOIN)
    signature = reader.field("signature", most=SIGNATURE_SIZE)
    reader.end()
    fields = Fields(
        loads_canonical(head, where=where),
        where,
        ("v", "suite", "channel", "invitation", "mac", "created"),
    )
    fields.integer("v", least=VERSION, most=VERSION)
    if fields.raw("suite") != SUITE:
        raise VerificationError("a suite unknown here: there is one only", where=where)
    return fields, head, chain, signature


def check_join(
    raw: bytes, invitation: Invitation, *, now: int, used: Collection[str] = ()
) -> JoinRequest:
    """Decide, as an owner, whether a join request answers an invitation.

    The out-of-band comparison of the joiner's fingerprint is still to be done by people.

    Args:
        raw: the request.
        invitation: the invitation that its `invitation` names.
        now: seconds UTC.
        used: ids of invitations that were answered before.
    Raises:
        InputError: the form is wrong.
        VerificationError: another channel, another or expired or used invitation, a wrong MAC, a
            card that is not valid now, or a date that cannot be.
    """
    request = parse_join(raw)
    where = f"join request of {request.member}"
    if request.channel != invitation.channel or request.invitation != invitation.id:
        raise VerificationError("answers another invitation or channel", where=where)
    if not equal(request.mac, _mac(invitation, request.card)):
        raise VerificationError(
            "was not made with the invitation's secret, or its card was swapped", where=where
        )
    if invitation.id in used:
        raise VerificationError("the invitation was used before", where=where)
    if now > invitation.expires:
        raise VerificationError("the invitation has expired", where=where)
    if request.created > now + _CLOCK_SKEW:
        raise VerificationError("is dated in the future", where=where)
    if not request.card.valid_at(now):
        raise VerificationError("its card is not valid now", where=where)
    return request


def binding(api_root_url: str, challenge: str, card_raw: bytes, signing: SigningPrivate) -> bytes:
    """Answer the hub's challenge: bind an account to the member of a card.

    Args:
        api_root_url: the API root that the client speaks to, so that no other hub can use it.
        challenge: what the hub gave.
        card_raw: the member's newest card.
        signing: its signing pair.
    Raises:
        InputError, VerificationError: the card is not good.
    """
    card = parse_card(card_raw)
    head = canonical({"v": VERSION, "api_root": api_root_url, "challenge": challenge})
    signature = signing.sign(_binding_signed(head, card))
    return label("binding") + lp(head) + lp(card_raw) + lp(signature)


def binding_challenge(raw: bytes) -> str:
    """The challenge that an answer names; nothing but its form is checked.

    Args:
        raw: the answer, from anybody.
    Raises:
        InputError: the form is wrong.
    """
    where = "binding"
    reader = Reader(raw, where)
    reader.label("binding")
    head = loads_canonical(reader.field("json", most=8192), where=where)
    challenge = Fields(head, where, ("v", "api_root", "challenge")).raw("challenge")
    if not isinstance(challenge, str):
        raise InputError("the challenge is text", where=where)
    return challenge


def check_binding(raw: bytes, api_root_url: str, challenge: str, *, now: int) -> Card:
    """Check, as the hub, the answer to a challenge.

    Args:
        raw: the answer.
        api_root_url: this hub's own.
        challenge: the one that was given to this account, not yet used.
        now: seconds UTC.
    Returns:
        The member's card.
    Raises:
        InputError: the form is wrong.
        VerificationError: another hub or challenge, a wrong signature, or a card not valid now.
    """
    where = "binding"
    reader = Reader(raw, where)
    reader.label("binding")
    head = reader.field("json", most=8192)
    card_raw = reader.field("card", most=MAX_CARD)
    signature = reader.field("signature", most=SIGNATURE_SIZE)
    reader.end()
    fields = Fields(loads_canonical(head, where=where), where, ("v", "api_root", "challenge"))
    fields.integer("v", least=VERSION, most=VERSION)
    if fields.raw("api_root") != api_root_url or fields.raw("challenge") != challenge:
        raise VerificationError("answers another hub or challenge", where=where)
    card = parse_card(card_raw)
    card.signing.verify(signature, _binding_signed(head, card), where=where)
    if not card.valid_at(now):
        raise VerificationError("the card is not valid now", where=where)
    return card


def _mac(invitation: Invitation, card: Card) -> bytes:
    data = label("join") + unhex(invitation.channel) + unhex(card.hash)
    return hmac_sha256(invitation.secret, data)


def _join_signed(head: bytes, chain: bytes) -> bytes:
    return label("join signature") + sha256(head) + sha256(chain)


def _binding_signed(head: bytes, card: Card) -> bytes:
    return label("binding signature") + sha256(head) + unhex(card.hash)


def _checksum(data: bytes) -> bytes:
    return sha256(label("invitation") + data)[:_CHECKSUM_SIZE]


def _cards(chain: bytes) -> tuple[Card, ...]:
    reader = Reader(chain, "join request.cards")
    raws: list[bytes] = []
    while reader.left:
        if len(raws) == MAX_CHAIN:
            raise InputError(f"more than {MAX_CHAIN} cards", where="join request.cards")
        raws.append(reader.field("card", most=MAX_CARD))
    return tuple(parse_card(raw) for raw in raws)
