"""The detector's constants, each with its reason; chosen on tuning seeds alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the detector takes for granted. Ratios are natural logarithms of likelihood ratios.

    Attributes:
        min_accounts: independent customers of the smallest cluster; families and small teams share
            a card and an address too.
        max_accounts, max_exchanges, dense_exchanges: bounds of memory. Further accounts are
            counted; of an account's exchanges all of the first `dense_exchanges` are kept, then
            ever fewer, so that one that is everywhere costs little.
        neighbours: accounts that each is compared with; `window` how many of them one shared node
            proposes. Members of one pool meet in many nodes, so a few each suffice.
        prompt_edge, egress_edge: similarity (overlap of shares of traffic, times the log rarity
            of what is shared) from which two accounts share a layer.
        alone_prompt_edge, alone_egress_edge: the same where nothing else is shared.
        rounds: how often profile and members are fitted to one another; two or three are enough.
        smoothing: exchanges added to each background count, so that rarity has a limit.
        repeats: an account's mean ratio counts as that of so many exchanges. Exchanges of one
            account repeat themselves: a public template used daily is still one habit.
        cap, floor: bounds of one layer's ratio: no layer convicts alone, none acquits of the rest.
        egress_floor: the same for foreign addresses, which a pool may rent for some accounts only.
        client_cap, rate_cap, hour_cap: bounds of weak evidence: client software is popular, and
            many people share a rhythm.
        member_score: sum of ratios from which an account belongs; the odds that it must outweigh
            are those of strangers to members, e^4 to e^6, and of an error in 10^4 account-days.
        layer_score: what each of two sharing layers must reach.
        alone: prompt ratio that, with the pool's client and load, stands for a second layer.
        relative, relative_work: share of the median member's strength, and of its work's, that
            every member reaches; operators that rent the same exits reach a tenth of the latter.
        strong, strong_bare: strength of the median member of a cluster, where prompts show and
            where not; strangers that happen to fit one another reach 10 to 20 with prompts.
        closed, closed_only: share of exchanges on templates (or addresses) that the group has to
            itself: most accounts that show them are members. A part of a crowd has nothing to
            itself. The latter is asked of addresses where the templates are public ones.
        even, even_bare: spread (robust standard deviation of the log of daily exchanges, sampling
            noise removed) up to which load is even, where prompts show and where not; a pool
            shows 0 to 0.1, or 0.3 if it is careless, honest groups 0.6 to 1.3.
        even_few, many: the bar for very few accounts, which rises to `even` at `many`: of a few
            honest accounts, some are alike by chance.
        uneven: spread at which a proposal is dropped at once, and the bar of a seeded cluster.
        site_addresses, site_accounts, one_payer: fewer effective addresses and accounts than these
            are one office; so are more accounts there if one card pays for so large a share.
        own_egress: address ratio that, without prompts, stands for a second layer: beyond what an
            exit shared with strangers reaches.
        carded_bare: share of accounts that cards and devices tie, from which, without prompts, a
            pool behind shared exits is one.
        seeded: share of accounts hit by published indicators from which the bars are lower.
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
    rounds: int = 5
    smoothing: float = 1.0
    repeats: float = 4.0
    cap: float = 8.0
    floor: float = -8.0
    egress_floor: float = -3.0
    client_cap: float = 3.0
    rate_cap: float = 3.0
    hour_cap: float = 2.0
    member_score: float = 9.0
    layer_score: float = 2.0
    alone: float = 7.0
    relative: float = 0.3
    relative_work: float = 0.5
    strong: float = 25.0
    strong_bare: float = 18.0
    closed: float = 0.25
    closed_only: float = 0.5
    even: float = 0.35
    even_few: float = 0.15
    many: int = 30
    even_bare: float = 0.25
    uneven: float = 0.75
    site_addresses: float = 2.5
    site_accounts: int = 40
    one_payer: float = 0.6
    own_egress: float = 14.0
    carded_bare: float = 0.6
    seeded: float = 0.3
