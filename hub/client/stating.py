"""An owner states the two custodians of the live fingerprint key to the members."""

from __future__ import annotations

from collections.abc import Sequence

from hub.channel.custodians import Custodian
from hub.client.custodians import Custodians
from hub.client.issue import live_keys, owned, send_keys
from hub.client.subscriber import refresh
from hub.client.work import Desk, Sealed, flush
from hub.errors import ConflictError
from hub.fingerprint.oblivious import check_public_key


def state_custodians(desk: Desk, name: str, rows: Sequence[Custodian]) -> str:
    """Tell the members which custodians serve the channel's live fingerprint key.

    Args:
        rows: two, as their operators handed them over.
    Returns:
        The id of the fingerprint key.
    Raises:
        InputError: not two rows for the live key, or it has others already.
        VerificationError: a public key is none.
        AccessError: only an owner may.
    """
    home = desk.home
    with home.locked():
        channel = home.state.channel(name)
        owned(home, channel)
        channel = refresh(desk, channel)
        trusted = owned(home, channel)
        live = live_keys(home, channel)
        if not live:
            raise ConflictError(
                "the channel has no live fingerprint key",
                where=channel.name,
                hint=f"stillwatch channel renew {channel.name}",
            )
        custodians = Custodians(home.state, channel.channel_id)
        pair = custodians.check_new(rows, live[-1].key_id)
        for row in pair:
            check_public_key(row.public_key, f"custodian {row.custodian_id}")
        sealed = Sealed(home, channel, trusted, desk.clock())
        with home.state.transaction():
            custodians.put(pair)
            send_keys(sealed, live)
            sealed.store()
        flush(desk, channel)
    return live[-1].key_id
