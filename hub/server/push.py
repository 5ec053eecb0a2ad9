"""What a hub does beside answering single requests: streams, pages kept ready, snapshots."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

from hub.server.events import Broadcaster
from hub.settings import HubSettings
from hub.store.interface import Store


@dataclass(frozen=True, slots=True)
class Push:
    """The parts of one hub process that outlive a request.

    Args:
        events: tells streams what was added.
    """

    events: Broadcaster

    @classmethod
    def of(cls, settings: HubSettings, store: Store, pool: Executor) -> Push:
        """Make them; `start` begins their work."""
        return cls(Broadcaster(store, settings.push, settings.limits, pool))

    def start(self) -> None:
        """Begin; called inside the event loop."""
        self.events.start()

    def stop(self) -> None:
        """End all streams: the first step on the way down; called inside the event loop."""
        self.events.stop()

    async def close(self) -> None:
        """End everything."""
        await self.events.close()
