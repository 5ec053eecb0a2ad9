"""The policy on the command line: every field, and what cannot be."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from hub.channel.changes import policy_changes
from hub.channel.policy import DAY, Policy
from hub.cli.policy_options import field_text, given_fields, policy_of, policy_options
from hub.client.governance import changed_policy
from hub.errors import InputError
from hub.model.codec import Json

EVERY = [
    "--tlp",
    "TLP:RED",
    "--rotate-days",
    "10",
    "--staleness-days",
    "2.5",
    "--heartbeat-days",
    "0.5",
    "--compression",
    "zlib",
    "--history",
    "all",
    "--erasure-days",
    "90",
    "--approvals",
    "2",
    "--fingerprint",
    "email=oblivious",
    "--fingerprint",
    "phone=none",
]


def _given(*words: str) -> Json:
    """What a command with these options gets."""
    found: list[Json] = []

    @click.command()
    @policy_options
    def command(**options: object) -> None:
        found.append(given_fields(**options))

    done = CliRunner().invoke(command, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return found[0]


def test_every_field_is_an_option() -> None:
    fields = _given(*EVERY)
    assert fields.keys() == Policy().to_json().keys()
    policy = changed_policy(Policy(), fields)
    assert policy == Policy(
        tlp="TLP:RED",
        rotation=10 * DAY,
        staleness=5 * DAY // 2,
        heartbeat=DAY // 2,
        compression="zlib",
        history="all",
        erasure=90 * DAY,
        approvals=2,
        fingerprints={"email": "oblivious", "phone": "none"},
    )
    # Each has a meaning to show, whichever changes.
    assert len(policy_changes(Policy(), policy)) == len(fields)
    assert _given() == {}


def test_a_field_that_is_given_back_is_the_default_again() -> None:
    policy = policy_of(erasure="30", fingerprints=("email=none", "phone=none"))
    back = changed_policy(policy, _given("--erasure-days", "never", "--fingerprint", "email=keyed"))
    assert back == Policy(fingerprints={"phone": "none"})
    texts = [each.text for each in policy_changes(policy, back)]
    assert texts[0].startswith("erasure: never, instead of 30 days")
    assert texts[1].startswith("fingerprints: phone none, instead of email none, phone none")


@pytest.mark.parametrize(
    "options",
    [
        {"erasure": "soon"},
        {"erasure": "0"},
        {"erasure": "inf"},
        {"fingerprints": ("email",)},
        {"fingerprints": ("=none",)},
        {"fingerprints": ("foo=oblivious",)},
        {"fingerprints": ("email=plain",)},
        {"rotation": 400},
        {"approvals": 33},
    ],
)
def test_what_no_member_would_accept_is_refused(options: Json) -> None:
    with pytest.raises(InputError):
        policy_of(**options)


def test_fields_are_shown_as_the_options_take_them() -> None:
    policy = policy_of(erasure="2.5", staleness=1.0).to_json()
    shown = {name: field_text(name, value) for name, value in policy.items()}
    assert shown["rotation"] == "30 days"
    assert (shown["staleness"], shown["erasure"]) == ("1 day", "2.5 days")
    assert shown["fingerprints"] == "keyed"
    assert field_text("erasure", None) == "never"
    assert field_text("fingerprints", {"email": "none"}) == "email=none, all others keyed"
    assert field_text("approvals", 1) == "1"


def test_times_are_told_in_words_and_bounded() -> None:
    @click.command()
    @policy_options
    def command(**options: object) -> None:
        """Nothing."""

    shown = CliRunner().invoke(command, ["--help"]).output
    assert "0.0006" not in shown
    assert "1 minute to 366 days" in " ".join(shown.split())
    for wrong in ("0", "nan", "367", "soon"):
        refused = CliRunner().invoke(command, ["--rotate-days", wrong])
        assert refused.exit_code == 2
        assert "from 1 minute to 366 days" in " ".join(refused.output.split())
