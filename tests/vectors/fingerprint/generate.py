"""Write the fingerprint vectors; a test runs this again and compares.

    python tests/vectors/fingerprint/generate.py

Every file is JSON lines: input and result, or `"expect": "InputError"`. A second implementation of
schemas/fingerprint-v1.md agrees with ours when it gives the same results.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from hub.errors import InputError
from hub.fingerprint import normalise, reference, text
from hub.fingerprint.prompts import band_text, features
from hub.fingerprint.tokens import FingerprintKey, token

FOLDER: Final = Path(__file__).resolve().parent

IDENTIFIERS: Final[dict[str, tuple[str, ...]]] = {
    "email": (
        "ada.abel@birchfield.example",
        " Ada.Abel+news@BIRCHFIELD.example. ",
        "Sam_Ple.Hydra.07+x@googlemail.com",
        "s.a.m_ple@gmail.com",
        "post@bücher-lager.example",
        "post@XN--BCHER-LAGER-THB.example",
        "ｐｏｓｔ＠ｂｉｒｃｈ．example",
        "STRASSE@faß.example",
        "straße@faß.example",
        "ada(comment)@birchfield.example",
        '"ada abel"@birchfield.example',
        "ada@[192.0.2.1]",
        "ada@localhost",
        "+tag@birchfield.example",
        "ada..abel@birchfield.example",
        "ada@-birch.example",
        "Ada <ada@birchfield.example>",
        "ada@birch@field.example",
        "ada@",
        "",
    ),
    "phone": (
        "+1 (202) 555-0143",
        "+12025550143",
        "tel:+44-7700-900123",
        "+44 (0)7700 900123",
        "＋１２０２５５５０１４３",
        "+1 202 555 0143 ext. 9",
        "202-555-0143",
        "+999 1",
        "call me",
        "",
    ),
    "device": (
        "32C6B010-2075-4AF3-A248-B14D705C18C3",
        "{32c6b010-2075-4af3-a248-b14d705c18c3}",
        "00:00:5E:00:53:AF",
        "AbC_device+9/=",
        "  spaced-out-id  ",
        "two words",
        "short",
        "gerät-0123456",
    ),
    "payment-instrument": (
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "pmfp_UgBhxSQUqaoqJsfp",
        "fp:pmfp_UgBhxSQUqaoqJsfp",
        "fp:4111111111111111",
        "4111 1111 1111 1112",
        "12345678",
        "two words",
        "",
    ),
    "api-key": (" sk-fic-0123456789 ", "sk-fic-0123 456789", "short", "sk-fic-01234567é"),
    "org": ("  Birchfield\u00a0 Labs ", "ＢＩＲＣＨＦＩＥＬＤ labs", "  "),
    "name": ("Lina  MARSH", "ﬁnn groß", ""),
}
ADDRESSES: Final = (
    "192.0.2.44",
    "::ffff:192.0.2.44",
    "::FFFF:c000:22c",
    "2001:0DB8:0000:0000:0000:0000:0000:0017",
    "2001:db8::17",
    "::192.0.2.44",
    " 192.0.2.44 ",
    "fe80::1%eth0",
    "192.0.2.044",
    "192.0.2.256",
    "203.0.113.64/27",
    "unknown",
)
PROMPTS: Final = (
    "",
    "Hello there",
    "one two three",
    "One,  TWO\tthree!",
    'Task 1842: "forecast churn for a regional carrier". Return JSON.',
    "Task 7: “forecast churn for a regional carrier”. Return JSON.",
    "Task 7: «price a van». Don't stop at the users' 'first guess' or `x = 1`.",
    "See https://data.example/v2?id=88, (http://a.example) and www.b.example/c. xhttps://d.example",
    "Dates 2026-11-10, 12:30:05, 1,842.50 and gpt4 v2.0-rc1 task_99 -5 ½ ² ١٢",
    "ＦＵＬＬ ｗｉｄｔｈ ﬁle ſtraße İstanbul ΌΣΟΣ",
    "zero\u200bwidth soft\u00adhyphen \ufeffbom va\ufe0friation \U000e0041tag",
    "no\u00a0break thin\u2009space line\u2028sep \x00nul \x1funit \x7fdel \x85nel",
    "dash—dash ellipsis… bullet• “quote” ‘single’ ‹x›",
    "请一步一步思考，并在给出最终答案之前写下每个中间步骤。",
    "ステップごとに考えてください",
    "คิดทีละขั้นตอน",
    "한국어 문장은 띄어쓰기가 있습니다",
    "e\u0301cole école e\u0301\u200bcole",
    "unassigned \u0378 and \U0001fae8 (Unicode 15) and private \ue000 and noncharacter \ufdd0",
    "emoji 👩‍💻 flags 🇨🇭 ok",
    '"' + "a" * 512 + '" and "' + "b" * 513 + '"',
    "''empty'' \"\" `` ```fence``` 'a' b' 'c",
    "word " * 40,
    (
        "You are an expert data analyst combining statistical rigor with deep domain knowledge. "
        "For the task below, think step by step and write out every intermediate reasoning step "
        'before the final answer. Task 1842: "forecast churn for a regional carrier". Return JSON '
        "with keys reasoning and answer."
    ),
)
KEY: Final = FingerprintKey("0123456789abcdef.2026q4", bytes(range(32)))


def _result(function: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return function()
    except InputError:
        return {"expect": "InputError"}


def identifiers() -> Iterator[dict[str, Any]]:
    """Normal forms, and tokens under a fixed key (secret 00 01 … 1f)."""
    for kind, values in IDENTIFIERS.items():
        for value in values:

            def made(kind: str = kind, value: str = value) -> dict[str, Any]:
                normal = normalise.of_kind(kind, value)
                return {"normal": normal, "token": token(KEY, kind, normal)}

            yield {"kind": kind, "value": value} | _result(made)


def addresses() -> Iterator[dict[str, Any]]:
    """IP addresses."""
    for value in ADDRESSES:

        def made(value: str = value) -> dict[str, Any]:
            return {"normal": normalise.ip(value)}

        yield {"value": value} | _result(made)


def prompts() -> Iterator[dict[str, Any]]:
    """Prompts with everything that is derived from them; bands by the plain reference."""
    for value in PROMPTS:
        normal = text.prompt(value)
        made = features(value)
        bands = reference.bands(normal) or []
        yield {
            "prompt": value,
            "normal": normal,
            "template": text.template(value),
            "sha256_raw": made.sha256_raw,
            "sha256_norm": made.sha256_norm,
            "template_sha256": made.template_sha256,
            "bands": [band_text(index, band) for index, band in enumerate(bands)],
        }


def files() -> dict[str, str]:
    """Every vector file by name."""
    made = {"identifiers": identifiers(), "addresses": addresses(), "prompts": prompts()}
    return {
        f"{name}.jsonl": "".join(json.dumps(line) + "\n" for line in lines)
        for name, lines in made.items()
    }


def main() -> None:
    """Write the vectors beside this file."""
    for name, content in files().items():
        (FOLDER / name).write_text(content)


if __name__ == "__main__":
    main()
