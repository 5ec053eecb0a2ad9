"""The detector's constants, each with its reason; chosen on tuning seeds alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the detector takes for granted.

    Attributes:
        min_accounts: independent customers of the smallest cluster; families and small offices
            share a card and an address too.
        max_accounts, max_exchanges, dense_exchanges: bounds of memory: further accounts are
            counted; of an account's exchanges all of the first `dense_exchanges` are kept, then
            fewer the more it makes.
        neighbours: accounts that each account is compared with, and `window` how many of them one
            shared node proposes; members of one pool meet through many nodes.
        prompt_edge, egress_edge: similarity (overlap of shares, times the log rarity of what is
            shared) from which two accounts share a layer.
        alone_prompt_edge, alone_egress_edge: the same where nothing else is shared.
        cap, floor: bounds of one layer's log-likelihood ratio: no layer convicts alone, and none
            acquits of all others.
        client_cap, rate_cap, hour_cap: bounds of weak evidence: client software is popular, and
            many people share a rhythm.
        member_score: sum from which an account belongs to a cluster; `layer_score` what two of
            its sharing layers must reach each.
        even: spread (robust standard deviation of the log of daily exchanges, sampling noise
            removed) up to which load counts as spread evenly; honest groups show 0.7 to 1.3.
        uneven: spread from which it is no pool.
        smoothing: exchanges added to each background count, so that rarity has a limit.
    """

    min_accounts: int = 5
    max_accounts: int = 4_000_000
    max_exchanges: int = 48_000_000
    dense_exchanges: int = 2_048
    neighbours: int = 48
    window: int = 12
    prompt_edge: float = 1.0
    egress_edge: float = 0.6
    alone_prompt_edge: float = 2.0
    alone_egress_edge: float = 1.5
    cap: float = 8.0
    floor: float = -8.0
    client_cap: float = 3.0
    rate_cap: float = 3.0
    hour_cap: float = 2.0
    member_score: float = 9.0
    layer_score: float = 2.0
    even: float = 0.45
    uneven: float = 0.75
    smoothing: float = 1.0
    repeats: float = 4.0
    egress_floor: float = -3.0
    alone: float = 7.0
    relative: float = 0.3
    relative_work: float = 0.5
    strong: float = 25.0
    strong_bare: float = 18.0
    even_bare: float = 0.25
    own_egress: float = 14.0
    carded_bare: float = 0.6
    closed: float = 0.25
    site_addresses: float = 2.5
    site_accounts: int = 40
    one_payer: float = 0.6
    seeded: float = 0.3
    rounds: int = 5
