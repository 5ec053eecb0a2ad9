"""What a proof file proves, in words."""

from __future__ import annotations

from dataclasses import dataclass

from hub.channel.evidence.proof import Accused, Kind
from hub.model.codec import Json


@dataclass(frozen=True)
class Finding:
    """The outcome of a proof file whose signatures all hold.

    Args:
        kind: what it shows.
        channel: id of the channel: all that the reader must know from elsewhere.
        accused: whom.
        against: the same in words.
        proven: sentences that the signatures alone bear out.
        claimed: sentences that are the word of the file's maker.
        conclusive: what is proven is a breach by itself, whoever made the file.
        statement: what the file's maker says happened; unverified.
        made: when it says that it was made, seconds UTC; unverified.
    """

    kind: Kind
    channel: str
    accused: Accused
    against: str
    proven: tuple[str, ...]
    claimed: tuple[str, ...]
    conclusive: bool
    statement: str
    made: int

    def to_json(self) -> Json:
        """For `--json`."""
        return {
            "kind": str(self.kind),
            "channel": self.channel,
            "accused": {"party": str(self.accused.party), "id": self.accused.id},
            "against": self.against,
            "conclusive": self.conclusive,
            "proven": list(self.proven),
            "claimed": list(self.claimed),
            "statement": self.statement,
            "made": self.made,
        }


@dataclass(frozen=True)
class Shown:
    """What the check of one kind found.

    Args:
        accused: whom the items accuse; must be whom the file names.
        against: the same in words.
        proven: sentences that the signatures bear out.
        claimed: sentences that they do not.
    """

    accused: Accused
    against: str
    proven: tuple[str, ...]
    claimed: tuple[str, ...] = ()

    @property
    def conclusive(self) -> bool:
        """Whether nobody's word is needed."""
        return not self.claimed
