"""What the report says of indicators that no source could answer."""

from __future__ import annotations

from hub.cli.match_missing import _WORDS, needs
from hub.match.engine import IndicatorIndex
from hub.match.schema import PATHS

_TOKENS = PATHS["fp_tokens"]
_DOMAIN = PATHS["email_domain"]
_PROMPT = (PATHS["prompt"][0],)


def _ids(count: int) -> list[str]:
    return [f"indicator--{number}" for number in range(count)]


def test_every_column_that_a_pattern_can_read_has_words() -> None:
    assert set(_WORDS) == set(PATHS)


def test_customer_columns_add_up_to_one_remedy() -> None:
    lacking = {_PROMPT: _ids(6), _TOKENS: _ids(30), _DOMAIN: _ids(3), PATHS["asn"]: _ids(1)}
    assert needs(lacking, customers=False, keys=True) == [
        "33 account indicators need the customer table: --accounts FILE",
        "6 prompt indicators need prompts, which these logs lack",
        "1 network indicator needs AS numbers, which these logs lack",
    ]


def test_with_a_customer_table_the_keys_or_its_columns_are_lacking() -> None:
    lacking = {_TOKENS: _ids(2), _DOMAIN: _ids(1)}
    assert needs(lacking, customers=True, keys=False) == [
        "2 account indicators need the channel's fingerprint keys: --home of a member",
        "1 account indicator needs e-mail domains, which the customer table lacks",
    ]
    assert needs({_TOKENS: _ids(2)}, customers=True, keys=True) == [
        "2 account indicators need keyed tokens, which the customer table lacks"
    ]


def test_a_customer_table_that_knows_no_customer_is_not_said_to_lack_columns() -> None:
    (told,) = needs({_TOKENS: _ids(2)}, customers=True, keys=True, joined=False)
    assert "need a customer table that knows these logs' customers" in told


def test_both_families_of_address_are_one_column_and_layers_mix() -> None:
    both = PATHS["client_ip"][:2]
    assert needs({both: _ids(1)}, customers=False, keys=False) == [
        "1 network indicator needs client addresses, which these logs lack"
    ]
    assert needs({both + _PROMPT: _ids(2)}, customers=False, keys=False) == [
        "2 indicators need client addresses or prompts, which these logs lack"
    ]


def test_paths_that_nothing_answers_are_summed_up() -> None:
    lacking: dict[tuple[str, ...], list[str]] = {("file:name", *_PROMPT): _ids(1)}
    assert needs(lacking, customers=False, keys=False) == [
        "1 indicator needs what is read of no log: file:name"
    ]
    lacking |= {("file:size", "a:b"): _ids(3), _PROMPT: _ids(1)}
    assert needs(lacking, customers=False, keys=False) == [
        "1 prompt indicator needs prompts, which these logs lack",
        "4 indicators need what is read of no log: a:b and 2 more (see --json)",
    ]


def test_windows_of_accounts_are_for_the_cluster_command() -> None:
    index = IndicatorIndex.build(
        [
            {
                "type": "indicator",
                "id": f"indicator--00000000-0000-4000-8000-{number:012d}",
                "modified": "2026-11-01T00:00:00Z",
                "pattern_type": "stix",
                "pattern": pattern,
                "valid_from": "2026-11-01T00:00:00Z",
            }
            for number, pattern in enumerate(
                [
                    "[llm-exchange:window.distinct_accounts >= 20]",
                    "[llm-exchange:window.max_concurrency >= 64 AND llm-exchange:mood = 'x']",
                    "[ipv4-addr:value = '192.0.2.7'] REPEATS 5 TIMES WITHIN 60 SECONDS",
                ]
            )
        ]
    )
    coverage = index.coverage({"client_ip"})
    assert coverage.answerable == 1
    lacking: dict[tuple[str, ...], list[str]] = {}
    for identifier, paths in coverage.not_answerable.items():
        lacking.setdefault(paths, []).append(identifier)
    [said] = needs(lacking, customers=True, keys=True)
    assert said.startswith("2 indicators describe what many accounts do together: ")
    assert "run stillwatch cluster over these logs" in said
