"""The words of the sample story: prompts, topics and names. All of it is invented."""

from __future__ import annotations

import random
from typing import Final

FIRST_NAMES: Final = (
    "Ada",
    "Bela",
    "Cora",
    "Dario",
    "Edda",
    "Farid",
    "Greta",
    "Hanno",
    "Ilse",
    "Jonas",
    "Kira",
    "Lina",
    "Marek",
    "Nadia",
    "Orin",
    "Petra",
    "Quinn",
    "Rosa",
    "Silas",
    "Tamar",
    "Ulla",
    "Viktor",
    "Wanda",
    "Xenia",
    "Yusuf",
    "Zora",
)
LAST_NAMES: Final = (
    "Abel",
    "Brandt",
    "Castell",
    "Dorne",
    "Eklund",
    "Farrow",
    "Greel",
    "Hollis",
    "Imber",
    "Jarrow",
    "Kestrel",
    "Lomax",
    "Marsh",
    "Norling",
    "Oakes",
    "Perrin",
    "Quist",
    "Rowan",
    "Sterne",
    "Tolland",
    "Umber",
    "Vance",
    "Wexley",
    "Yarrow",
    "Zeller",
)
BENIGN_DOMAINS: Final = (
    "harbor-clinic.example",
    "birchfield.example",
    "tidewater-press.example",
    "cobalt-schools.example",
    "grainline.example",
    "quiet-orbit.example",
)
HYDRA_DOMAINS: Final = ("mail-farm.example", "inbox-harbor.example")

TOPICS: Final = (
    "forecast churn for a regional carrier",
    "price a fleet of electric vans",
    "explain the drift of a tide gauge",
    "rank suppliers of cold storage",
    "plan crews for a bridge survey",
    "estimate demand for night trains",
    "find the cause of a pump failure",
    "compare two irrigation schedules",
)
MODULES: Final = ("ledger", "tile cache", "roster", "meter gateway", "seed catalogue")
URLS: Final = (
    "https://data.tide-atlas.example/v2/series?id=88",
    "https://files.cold-chain.example/report.csv",
    "www.bridge-survey.example/notes",
)

LANTERN_TEMPLATE: Final = (
    "You are a senior research analyst who combines statistical rigor with deep domain knowledge. "
    "For the task below think step by step, write down each intermediate inference before you "
    "commit to it, check every one against the data, and only then state the final result. "
    'Task {number}: "{topic}". Use at most {limit} sections, cite {url} where it helps, and return '
    'JSON with the keys "reasoning" and "answer".'
)
COPPER_TEMPLATE: Final = (
    "Act as an autonomous software engineer inside a fresh container with no network. Open the "
    "repository, list the files that matter for the fault, explain which tool you call and why "
    "before each call, show the whole diff, run the tests again, and when they fail go back and "
    "reconsider your plan aloud. Ticket {number} concerns '{module}' and must close within {limit} "
    "turns, so keep the transcript complete from the first thought to the last command."
)
# Two spots of each template with words that campaign operators swap in.
LANTERN_SWAPS: Final = (("senior", "seasoned"), ("intermediate", "partial"))
COPPER_SWAPS: Final = (("autonomous", "independent"), ("transcript", "protocol"))

LITERAL: Final = "record every hidden assumption before the verdict line"
LITERAL_REORDERED: Final = "before the verdict line record every assumption hidden"
REGEX: Final = r"(?i)grade .{0,60}rubric.{0,80}integer (score|mark) from [0-9]+ to [0-9]+"
BROKEN_REGEX: Final = "(?i)grade .{0,60}rubric[0-9"

NORMAL_TEMPLATE: Final = (
    'Rewrite the refusal "{topic}" as {number} helpful answers, keep the numbering, and mark each '
    "with the policy that it would break."
)
PUBLIC_TEMPLATE: Final = (
    "I want you to act as a travel guide. I will write you my location and you will suggest a "
    "place to visit near my location. In some cases I will also give you the type of places I "
    "will visit. Let us think step by step. My first request is: {topic}, on day {number}."
)
SAME_TOPIC: Final = (
    "As an experienced analyst with a good grasp of statistics, please reason carefully about the "
    "following: {topic}. Show your working, verify it with the numbers that you have, and finish "
    "with a short conclusion in JSON."
)
BENIGN: Final = (
    "Summarise the minutes of our meeting about {topic} in five bullet points for the board.",
    "Write a friendly reminder to {name} that invoice {number} for the {module} is overdue.",
    "What is a sensible way to {topic}? Keep it short, I have ten minutes.",
    "Translate into German: the {module} will be closed on Friday, please use the side door.",
    "Draft a job advert for somebody who can {topic} and enjoys working with {name}.",
    "Give me three names for a cat that likes to sit on the {module}.",
    "Explain the error 'index {number} out of range' in the {module} to a beginner.",
)


def fill(template: str, rng: random.Random) -> str:
    """A template with random contents in its slots."""
    return template.format(
        number=rng.randrange(100, 9999),
        limit=rng.randrange(3, 40),
        topic=rng.choice(TOPICS),
        module=rng.choice(MODULES),
        url=rng.choice(URLS),
        name=rng.choice(FIRST_NAMES),
    )


def respelled(text: str, rng: random.Random) -> str:
    """The same template with other case, white space or quotation marks."""
    choice = rng.randrange(4)
    if choice == 0:
        return text.replace(". ", ".\n\n")
    if choice == 1:
        return text.upper()
    if choice == 2:
        return _curly(text)
    return text.replace("the ", "the  ")


def _curly(text: str) -> str:
    """Straight double quotation marks as typographic ones."""
    pieces = text.split('"')
    return "".join(
        piece + ("" if at == len(pieces) - 1 else "“" if at % 2 == 0 else "”")
        for at, piece in enumerate(pieces)
    )


def swapped(text: str, swaps: tuple[tuple[str, str], ...], count: int) -> str:
    """The text with one or two words of the template replaced."""
    for old, new in swaps[:count]:
        text = text.replace(old, new)
    return text


def with_literal(rng: random.Random, literal: str = LITERAL) -> str:
    """A free question that carries the literal, in its own case."""
    return f"For our note on how to {rng.choice(TOPICS)}: {literal} and number the lines."


def rubric(rng: random.Random) -> str:
    """A grading request of the form that the regular expression describes."""
    return (
        f"Grade the answer about the {rng.choice(MODULES)} with this rubric: clarity and proof. "
        f"Reply with an integer {rng.choice(('score', 'mark'))} from 1 to {rng.choice((5, 10))}."
    )


def rubric_too_far(rng: random.Random) -> str:
    """Grading words, further apart than the regular expression allows."""
    return (
        f"Please grade my pupil's essay about the {rng.choice(MODULES)}; she worked on it for two "
        "whole weeks and is proud of it. There is no rubric. An integer mark from 1 to 6 will do."
    )
