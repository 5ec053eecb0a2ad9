"""How a member reaches a hub: what an account may hold."""

from __future__ import annotations

import pytest

from hub.client.transport import HubAccount
from hub.errors import InputError


@pytest.mark.parametrize("token", ["", "two words", "first\nsecond", "café", "tab\there", "\x00"])
def test_a_token_that_no_header_carries_is_refused_unseen(token: str) -> None:
    with pytest.raises(InputError, match="not one word of visible ASCII") as caught:
        HubAccount("https://hub.example/stillwatch/", None, token)
    assert not token or token not in str(caught.value)


def test_a_password_of_http_basic_may_hold_blanks() -> None:
    assert HubAccount("https://hub.example/r/", "lab", "two words").username == "lab"
    with pytest.raises(InputError):
        HubAccount("https://hub.example/r/", "lab", "first\nsecond")
