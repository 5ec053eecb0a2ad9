"""What a hub does beside answering single requests: streams, pages kept ready, snapshots."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

from hub.server.closing import in_a_thread
from hub.server.events import Broadcaster
from hub.server.logbook import Logbook
from hub.server.segments import Segments
from hub.server.snapshots import Snapshots
from hub.settings import HubSettings
from hub.store.interface import Store


@dataclass(frozen=True, slots=True)
class Push:
    """The parts of one hub process that outlive a request.

    Args:
        events: tells streams what was added.
        segments: pages that are kept ready.
        snapshots: frames of what collections hold.
    """

    events: Broadcaster
    segments: Segments
    snapshots: Snapshots

    @classmethod
    def of(cls, settings: HubSettings, store: Store, logbook: Logbook, pool: Executor) -> Push:
        """Make them; `start` begins their work."""
        push, limits = settings.push, settings.limits
        return cls(
            Broadcaster(store, push, limits, pool),
            Segments(limits.segment_bytes, push.segment_from),
            Snapshots(store, push, limits.snapshot_bytes, sign=logbook.note),
        )

    def start(self) -> None:
        """Begin; called inside the event loop."""
        self.events.start()

    def stop(self) -> None:
        """End all streams: the first step on the way down; called inside the event loop."""
        self.events.stop()

    async def close(self) -> None:
        """End everything."""
        await self.events.close()
        await in_a_thread(self.snapshots.close)
