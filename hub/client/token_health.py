"""What `status` says of tokens and of the custodians that oblivious ones need."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Final

from hub.client.custodians import Custodians
from hub.client.forms import forms_of
from hub.client.home import Home
from hub.client.issue import live_keys
from hub.client.rows import ChannelRow
from hub.model.extension import INDICATOR_CONTROLS
from hub.model.identifiers import parse_timestamp

_NAMES: Final = {"hmac": "keyed", "oblivious": "oblivious"}


def token_forms(home: Home, channel: ChannelRow, now: int) -> dict[str, int]:
    """Live indicators of identifiers by the form of their tokens: `keyed`, `oblivious`."""
    moment = datetime.fromtimestamp(now, UTC)
    found: Counter[str] = Counter()
    for row in home.state.objects(channel.channel_id, types=("indicator",)):
        until = row.body.get("valid_until")
        if row.revoked or (isinstance(until, str) and parse_timestamp(until) <= moment):
            continue
        controls = row.body.get("extensions", {}).get(INDICATOR_CONTROLS, {})
        form = _NAMES.get(str(controls.get("privacy_form"))) if "key_id" in controls else None
        if form is not None:
            found[form] += 1
    return dict(found)


def custodian_notes(home: Home, channel: ChannelRow, now: int) -> list[str]:
    """What is wrong with the custodians, where the channel's policy needs them."""
    if not forms_of(home, channel).asks:
        return []
    live = live_keys(home, channel)
    if not live:
        return []
    pair = Custodians(home.state, channel.channel_id).of(live[-1].key_id)
    if not pair:
        text = (
            f"no custodians serve the fingerprint key {live[-1].key_id}, and the policy wants "
            f"oblivious tokens: an owner states them: stillwatch channel custodians {channel.name}"
        )
        return [text]
    notes = []
    for row in pair:
        if row.expires <= now:
            notes.append(f"the key of custodian {row.custodian_id} has expired")
        elif row.expires < now + home.settings.warn_before_s:
            days = (row.expires - now) // 86_400
            notes.append(f"the key of custodian {row.custodian_id} expires in {days} days")
    return notes
