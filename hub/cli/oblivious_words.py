"""What commands say about oblivious tokens: who would be asked, how much quota is left."""

from __future__ import annotations

from collections.abc import Sequence

from hub.cli.options import count_of
from hub.client.known_tokens import Remaining
from hub.model.codec import Json


def asked_text(number: int, left: Sequence[Remaining]) -> str:
    """What a dry run says of the evaluations that it did not ask for."""
    names = " and ".join(each.custodian_id for each in left) or "the custodians"
    return f"{count_of(number, 'identifier')} would be evaluated by {names}; {_quota(left)}."


def _quota(left: Sequence[Remaining]) -> str:
    known = [f"{each.left:,} at {each.custodian_id}" for each in left if each.left is not None]
    if not known:
        return "the quota left today is not known, nobody was asked today"
    return f"left today when last asked: {', '.join(known)}"


def asked_json(number: int, left: Sequence[Remaining]) -> Json:
    """The same for `--json`; a quota that is not known is null."""
    return {"evaluations": number, "quota_left": {each.custodian_id: each.left for each in left}}


def overruled_text(kinds: Sequence[str]) -> str:
    """Why kinds stay keyed against the policy."""
    return (
        f"the channel's policy asks for oblivious tokens of {', '.join(kinds)}; nobody can guess "
        "these, so they stay keyed"
    )
