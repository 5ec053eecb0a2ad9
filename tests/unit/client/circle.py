"""A lab, a provider and a liaison around one hub in memory."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from hub.channel.manifest import Policy
from hub.client.home import Home
from hub.client.joining import join
from hub.client.keyring import Unlock
from hub.client.log_pin import LogChoice
from hub.client.membership import approve, create, invite
from hub.client.publisher import Options, Published, prepare, publish
from hub.client.requests import candidates
from hub.client.subscriber import Pulled, pull
from hub.client.transport import HubAccount
from hub.client.work import Desk
from hub.settings import ClientSettings
from tests.unit.client.memory_hub import API_ROOT, MemoryHub

START = 1_790_000_000
SETTINGS = ClientSettings(lock_wait_s=0.0)


@dataclasses.dataclass
class Clock:
    """A clock that tests move."""

    now: int = START

    def __call__(self) -> int:
        """UTC seconds."""
        return self.now


@dataclasses.dataclass
class Circle:
    """Homes around one hub; each has an account named after it."""

    folder: Path
    hub: MemoryHub
    clock: Clock
    desks: dict[str, Desk] = dataclasses.field(default_factory=dict)

    def add(self, name: str) -> Desk:
        """Make a home."""
        home = Home.create(
            self.folder / name, name.title(), Unlock.key_file(), now=self.clock(), settings=SETTINGS
        )
        self.desks[name] = Desk(home, self.hub.connect, self.clock)
        return self.desks[name]

    def account(self, name: str) -> HubAccount:
        """The account of a home."""
        return HubAccount(API_ROOT, name, f"token-of-{name}")

    def open_channel(self, policy: Policy | None = None, log: LogChoice | None = None) -> Desk:
        """A lab that owns the channel `circle`."""
        lab = self.add("lab")
        collection = self.hub.add_channel_collection()
        create(lab, "circle", self.account("lab"), collection, policy or Policy(), log)
        return lab

    def admit(self, name: str, role: str) -> Desk:
        """Invite, join, approve and pull."""
        desk = self.desks.get(name) or self.add(name)
        invitation = invite(self.desks["lab"], "circle", name.title(), role)
        join(desk, invitation.text, self.account(name), "circle", by_file=False)
        found, problems = candidates(self.desks["lab"], "circle")
        assert not problems
        approve(self.desks["lab"], "circle", found[0])
        self.pull(name)
        return desk

    def pull(self, name: str) -> Pulled:
        """Pull everything of one home."""
        (result,) = pull(self.desks[name])
        return result

    def publish(self, name: str, *files: Path, options: Options | None = None) -> Published:
        """Prepare and publish files."""
        desk = self.desks[name]
        channel = desk.home.state.channel("circle")
        prepared = prepare(desk.home, channel, files, options or Options(), now=self.clock())
        return publish(desk, channel, prepared)

    def close(self) -> None:
        """Close every home."""
        for desk in self.desks.values():
            desk.home.close()


ACCOUNTS = """email,phone,payment,device,api_key,campaign,first_seen,last_seen,confidence
ann@mailbox-farm.example,+1 212 555 0101,,,,LANTERN,2026-09-10T00:00:00Z,2026-09-12T00:00:00Z,80
bob@mailbox-farm.example,,,,sk-fic-7Qaaaaaaaaaaaaaaaaaaaa,LANTERN,2026-09-11T00:00:00Z,,70
not-an-address,,,,,LANTERN,2026-09-11T00:00:00Z,,50
"""
PROXIES = """address,campaign,first_seen,valid_until,confidence
203.0.113.64/27,LANTERN,2026-09-01T00:00:00Z,2026-11-20T00:00:00Z,85
198.51.100.2,LANTERN,2026-09-02T00:00:00Z,2026-11-21T00:00:00Z,75
203.0.113.64/27,LANTERN,2026-09-01T00:00:00Z,2026-11-20T00:00:00Z,85
10.0.0.0/8,LANTERN,2026-09-02T00:00:00Z,,40
"""
PROMPTS = (
    '{"kind": "minhash-lsh", "text": "Grade the answer of the student against every line of the '
    'rubric and explain each deduction in one sentence.", "campaign": "LANTERN"}\n'
    '{"kind": "regex", "pattern": "(unclosed", "campaign": "LANTERN"}\n'
)


def write_files(folder: Path) -> tuple[Path, Path, Path]:
    """A lab's three files."""
    files = (folder / "accounts.csv", folder / "proxies.csv", folder / "prompts.jsonl")
    for path, content in zip(files, (ACCOUNTS, PROXIES, PROMPTS), strict=True):
        path.write_text(content)
    return files
