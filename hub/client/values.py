"""The normalised values behind a publisher's own live tokens, sealed under the home's key."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from hub.client.choices import REISSUE, Choices
from hub.client.evaluations import Value
from hub.client.home import Home
from hub.model.codec import canonical, loads

_KIND: Final = "value"


class Values:
    """The values of one channel.

    Args:
        home: seals them; they are never sent.
        channel_id: the channel.
    """

    def __init__(self, home: Home, channel_id: str) -> None:
        self._home = home
        self._channel = channel_id

    def held(self) -> set[str]:
        """Ids of the indicators whose values are kept."""
        return set(self._home.state.secrets(self._channel, _KIND))

    def all(self) -> dict[str, Value]:
        """Indicator id -> kind and normal form."""
        found = {}
        for object_id, plain in self._home.secrets(self._channel, _KIND).items():
            fields = loads(plain)
            found[object_id] = (str(fields["kind"]), str(fields["value"]))
        return found

    def put(self, values: Mapping[str, Value], at: int) -> None:
        """Keep values, unless the operator declined it; those that are kept already stay."""
        if not Choices(self._home.state).get(REISSUE):
            return
        known = self.held()
        with self._home.state.transaction():
            for object_id, (kind, value) in values.items():
                if object_id not in known:
                    plain = canonical({"kind": kind, "value": value})
                    self._home.put_secret(self._channel, _KIND, object_id, plain, at)

    def retain(self, object_ids: Collection[str]) -> None:
        """Erase the values of all other indicators."""
        gone = self.held().difference(object_ids)
        if not gone:
            return
        with self._home.state.transaction():
            for object_id in gone:
                self._home.state.drop_secret(self._channel, _KIND, object_id)


def choose_reissue(home: Home, *, on: bool) -> None:
    """Choose whether values are kept; when not, those that are kept are erased at once."""
    with home.locked(), home.state.transaction():
        Choices(home.state).put(REISSUE, on=on)
        if not on:
            for channel in home.state.channels():
                Values(home, channel.channel_id).retain(())
