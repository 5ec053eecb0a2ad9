"""What the detector keeps: bounded, whatever the log holds."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from hub.fingerprint.prompts import normalise_batch
from hub.match.cluster.collect import Collector, network, packed, sampled
from hub.match.cluster.parameters import Parameters
from hub.match.cluster.prompts import FIRST, KINDS, LAST, SKELETON, WHOLE, nodes_of, stored_nodes
from tests.unit.match.cluster.crowd import batch, people

_RULE = "Judge the following claim with great care and state every assumption you make first:"


def nodes(*texts: str | None) -> np.ndarray:
    return nodes_of(normalise_batch(pa.array(texts, pa.large_string())))


def test_instances_of_a_template_share_what_does_not_vary() -> None:
    one, other = nodes(
        f"{_RULE} rivers bend towards the colder bank in every northern valley we know",
        f"{_RULE} a lamp that nobody sees still warms the paper that lies under its shade",
    )
    assert one[FIRST] == other[FIRST] != 0
    assert one[LAST] != other[LAST]
    assert one[WHOLE] != other[WHOLE]
    assert one[SKELETON] != other[SKELETON]


def test_numbers_do_not_make_another_skeleton() -> None:
    one, other = nodes("add 12 and 7 and tell me", "add 3141 and 99 and tell me")
    assert one[SKELETON] == other[SKELETON] != 0


def test_short_texts_and_nulls_have_few_nodes_or_none() -> None:
    short, null, empty = nodes("hello there", None, "")
    assert short[WHOLE] != 0
    assert not short[SKELETON:].any()
    assert not null.any()
    assert not empty.any()


def test_kept_features_stand_in_for_prompts() -> None:
    bands = np.arange(1, 33, dtype=np.uint64).reshape(2, 16)
    bands[1] = 0
    found = stored_nodes(pa.array(["00000012" + "0" * 56, None]), bands)
    assert found.shape == (2, KINDS)
    assert found[0, SKELETON] == 0x12
    assert found[0, LAST + 1 :].all()
    assert not found[1].any()


def test_addresses_are_packed_with_their_networks() -> None:
    words = packed(pa.array(["192.0.2.9", "::ffff:192.0.2.9", "2001:db8:7:8::1", "no", None]))
    assert words[0] == words[1] == (0xFFFF << 32 | 0xC0000209)
    assert words[2] == 0x20010DB800070008
    assert words[3:].tolist() == [0, 0]
    assert network(words).tolist()[2:] == [0x20010DB80007, 0, 0]


def test_an_account_that_makes_very_many_exchanges_is_thinned() -> None:
    kept = sampled(np.arange(100_000), 1_000)
    assert kept[:2_000].all()
    assert 6_000 < kept.sum() < 9_000


def test_memory_is_bounded_and_counts_stay_exact() -> None:
    rows = batch(people(1, count=30))
    small = Parameters(max_exchanges=rows.num_rows // 2, dense_exchanges=16)
    collector = Collector(small)
    for _ in range(4):
        collector.add(rows)
    found = collector.collected()
    assert len(found.rows.account) <= rows.num_rows
    assert int(found.total.sum()) == 4 * rows.num_rows


def test_accounts_beyond_the_limit_are_counted() -> None:
    rows = batch(people(1, count=30))
    collector = Collector(Parameters(max_accounts=10))
    collector.add(rows)
    found = collector.collected()
    assert len(found.accounts) == 10
    assert found.refused == rows.num_rows - len(found.rows.account) > 0


def test_one_account_on_everything() -> None:
    rows = people(1)
    for row in rows:
        row["account_id"] = "everybody"
    collector = Collector(Parameters(dense_exchanges=64))
    collector.add(batch(rows))
    found = collector.collected()
    assert found.accounts == ["everybody"]
    assert found.total.tolist() == [len(rows)]
    assert len(found.rows.account) < len(rows)
