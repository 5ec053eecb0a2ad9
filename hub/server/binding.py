"""Binding an organisation to the channel members whose keys it holds."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

from hub.channel import invite
from hub.channel.card import Card
from hub.errors import StillwatchError, VerificationError
from hub.server.policy import Principal
from hub.server.refusals import ForbiddenError, HiddenError
from hub.settings import HubSettings
from hub.store.interface import Store

CHALLENGE_SECONDS: Final = 300


class Bindings:
    """Challenges, and what is signed for them; whether one may was asked before.

    Args:
        settings: the URLs that a binding is signed for.
        store: keeps both.
        now: wall clock in whole seconds UTC.
    """

    def __init__(self, settings: HubSettings, store: Store, *, now: Callable[[], int]) -> None:
        self._store = store
        self._now = now
        bases = (settings.public_url, *settings.other_urls)
        self._urls = [f"{base.rstrip('/')}/{settings.root}/" for base in bases if base]

    def challenge(self, principal: Principal) -> tuple[str, int]:
        """A fresh challenge (hex) and when it expires."""
        if not self._urls:
            raise HiddenError("this hub has no public URL that a binding could be signed for")
        challenge, expires = secrets.token_hex(32), self._now() + CHALLENGE_SECONDS
        self._store.put_challenge(principal.org_id, challenge, expires=expires)
        return challenge, expires

    def bind(self, principal: Principal, raw: bytes) -> str:
        """Bind the principal's organisation to the member whose card signed the challenge.

        Raises:
            InputError: not the form of a binding.
            ForbiddenError: not a challenge of this organisation, or one used up.
            VerificationError: not signed by the card's key for this hub and this challenge.
            ConflictError: another organisation holds that member's root.
        """
        challenge = invite.binding_challenge(raw)
        if not self._store.take_challenge(principal.org_id, challenge, now=self._now()):
            raise ForbiddenError(
                "the challenge is unknown, used or expired", hint="ask for a new one"
            )
        card = self._check(raw, challenge)
        made = self._store.bind_member(principal.org_id, card.member, card.root_id)
        self._store.audit(
            "member.bind",
            org_id=principal.org_id,
            token_id=principal.token_id,
            detail={"member": made.member, "root": made.root_id},
            concerns=frozenset({principal.org_id}),
        )
        return made.member

    def _check(self, raw: bytes, challenge: str) -> Card:
        failure: StillwatchError | None = None
        for url in self._urls:
            try:
                return invite.check_binding(raw, url, challenge, now=self._now())
            except VerificationError as error:
                failure = error
        raise failure or HiddenError("this hub has no public URL")
