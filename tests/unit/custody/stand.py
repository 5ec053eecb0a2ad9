"""A custodian in a folder of its own beside a channel of fictional members."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hub.channel.custodian_replies import frame_messages
from hub.channel.custodians import Custodian as Row
from hub.channel.custodians import EvaluationRequest, make_request, parse_answer
from hub.channel.header import MessageType, parse_message
from hub.custody.folder import Folder, Unlock
from hub.custody.keys import new_key
from hub.custody.service import Custodian
from hub.fingerprint.oblivious import Blinding, blind, token_input
from tests.unit.channel.cast import LIAISON, NOW, READER, Person, Scene

DAYS = 120


def scene() -> Scene:
    """A channel of an owner, a reader, one to be removed and a liaison."""
    made = Scene(Person("lab"))
    made.rotate()
    made.admit(
        (Person("provider"), READER), (Person("leaver"), READER), (Person("liaison"), LIAISON)
    )
    return made


def posted(made: Scene) -> bytes:
    """The manifests and cards of a channel, as a member posts them."""
    kinds = (MessageType.MANIFEST, MessageType.CARD)
    return frame_messages([raw for raw in made.wire if parse_message(raw).header.t in kinds])


@dataclass
class Stand:
    """One custodian that serves one channel.

    Args:
        path: its folder; made when empty.
        name: its id.
        made: the channel.
    """

    path: Path
    made: Scene
    name: str = "custody-a.example"
    now: int = NOW
    folder: Folder = field(init=False)
    custodian: Custodian = field(init=False)
    row: Row = field(init=False)

    def __post_init__(self) -> None:
        url = f"https://{self.name}"
        self.folder = Folder.create(self.path, self.name, url, Unlock())
        self.custodian = Custodian(self.folder)
        self.custodian.channels.add(self.channel, self.made.manifest.owners, now=self.now)
        self.row = new_key(self.folder, self.channel, self.key_id, now=self.now, days=DAYS)
        self.custodian.learn(self.channel, posted(self.made), self.now)

    @property
    def channel(self) -> str:
        return self.made.trusted.channel

    @property
    def key_id(self) -> str:
        return f"{self.channel[:16]}.2027q1"

    def reopen(self) -> None:
        """As after the process ended, however it did."""
        self.folder.close()
        self.folder = Folder.open(self.path, Unlock())
        self.custodian = Custodian(self.folder)

    def request(self, who: Person, elements: bytes, **changed: Any) -> EvaluationRequest:
        """A request of a member; `changed` replaces arguments of `make_request`."""
        values: dict[str, Any] = {
            "custodian": self.row,
            "channel": self.channel,
            "man": self.made.manifest.hash,
            "now": self.now,
        }
        return make_request(who.signing, elements=elements, **(values | changed))

    def ask(self, who: Person, blinding: Blinding, **changed: Any) -> list[bytes]:
        """A member's whole question: outputs, verified."""
        request = self.request(who, blinding.elements, **changed)
        raw, _ = self.custodian.evaluate(request.raw, self.now)
        answer = parse_answer(raw, request)
        return blinding.finalize(
            answer.elements, answer.proof, self.row.public_key, where=self.row.custodian_id
        )


def blinding_of(count: int) -> Blinding:
    """So many e-mail addresses, blinded."""
    return blind([token_input("email", f"user-{number}@mail.example") for number in range(count)])
