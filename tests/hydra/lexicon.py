"""Words and sentence patterns that prompts are built of; all of it is made up.

`{name}` is a slot that draws from `WORDS`; `[a|b]` is a choice that a paraphrase draws anew.
"""

from __future__ import annotations

from typing import Final


def _words(text: str, between: str = " ") -> tuple[str, ...]:
    return tuple(text.split(between))


_NOUNS: Final = _words(
    "invoice ledger orchard bicycle glacier sourdough parser compiler violin harbour nebula "
    "tariff vaccine tomato stairwell lighthouse contract beehive reactor mortgage sonnet recipe "
    "turbine catalogue dashboard spreadsheet calendar kitchen trail bridge novel essay budget "
    "puzzle queue thread socket schema index cache battery antenna sensor robot engine furnace "
    "canal market auction loan pension election treaty census museum gallery fresco statue "
    "cathedral sermon hymn ballad opera quartet rehearsal marathon swimmer goalkeeper referee "
    "stadium migraine allergy splint clinic ward pharmacy molecule enzyme protein fossil "
    "volcano monsoon drought harvest tractor greenhouse seedling compost orchid terrier parrot "
    "aquarium saddle ferry tram airport luggage visa passport hostel itinerary campsite canoe "
    "compass tent lantern wedding nursery cradle homework lecture syllabus thesis seminar grant "
    "patent trademark lawsuit witness jury warranty refund parcel warehouse forklift pallet "
    "supplier tender payroll interview resume mentor sprint backlog release migration outage "
    "firewall router gateway"
)
_ADJECTIVES: Final = _words(
    "brittle quiet seasonal recursive legacy portable fragile nordic rural urban stubborn "
    "elegant noisy sparse dense annual weekly shared private public cheap costly vintage modern "
    "damp dry steep narrow broad hollow solid bitter sweet plain ornate gentle abrupt lazy "
    "eager partial complete local remote hidden obvious cautious reckless frozen molten coastal "
    "alpine tropical digital manual automatic nested flat circular linear rough smooth early "
    "late slow rapid"
)
_VERBS: Final = _words(
    "repair compare translate measure plant bake refactor compile negotiate schedule estimate "
    "paint install calibrate summarise rewrite debug profile balance reconcile insure transport "
    "assemble dismantle photograph rehearse practise memorise outline draft review simplify "
    "shorten extend convert merge split filter sort group cluster label annotate archive "
    "restore encrypt publish advertise price audit inspect clean polish season ferment prune "
    "harvest irrigate survey map"
)
_PEOPLE: Final = _words(
    "neighbour grandmother manager landlord teacher nephew coach customer plumber dentist "
    "editor colleague tenant cousin supervisor volunteer apprentice investor librarian nurse "
    "pilot gardener carpenter accountant student toddler roommate captain curator archivist "
    "baker"
)
_PLACES: Final = _words(
    "Aldermere Brightwater Corvane Dunhollow Eastmarch Fennwick Galloway-on-Sea Harrowgate "
    "Ivershall Juniper-Falls Kestrel-Bay Larkhaven Mossbridge Northgate Oakenford Pinecrest "
    "Quillham Ravensford Saltmarsh Thornbury Umberfield Valewood Westhollow Yarrowdale "
    "Zephyr-Point"
)
_TOOLS: Final = _words(
    "python rust sql bash excel latex javascript kotlin terraform docker pandas numpy react "
    "postgres regex make git awk julia fortran cobol swift haskell elixir grafana nginx"
)
_ROLES: Final = _words(
    "senior reviewer, patient tutor, travel guide, chess coach, legal drafter, release "
    "engineer, database administrator, statistics lecturer, speech writer, crossword setter, "
    "museum guide, code mentor, copy editor, physics examiner, nutrition planner, security "
    "analyst, game master, product owner, grant writer, interview trainer, geometry teacher, "
    "compiler author, operations planner, language partner, story teller, test designer, "
    "science journalist",
    ", ",
)
_GOALS: Final = _words(
    "the final answer, the full derivation, a ranked list, a working function, the shortest "
    "proof, a table of results, the corrected text, a plan with dates, the tool calls in order, "
    "a summary of the evidence, the unit tests, a worked example, the reasoning trace, an "
    "annotated outline, the failing case, a checklist, the intermediate values, a patch",
    ", ",
)
_UNITS: Final = _words(
    "kilometres minutes euros pages people litres kilograms rows tickets seconds degrees"
)

WORDS: Final[dict[str, tuple[str, ...]]] = {
    "noun": _NOUNS,
    "adj": _ADJECTIVES,
    "verb": _VERBS,
    "who": _PEOPLE,
    "where": _PLACES,
    "tool": _TOOLS,
    "role": _ROLES,
    "goal": _GOALS,
    "unit": _UNITS,
    "number": tuple(str(n) for n in range(2, 998)),
    "name": tuple(f"{a}_{b}_{n}" for a in _NOUNS[:40] for b in _VERBS[:20] for n in (1, 2, 3)),
}
"""What each slot draws from."""

SENTENCES: Final = (
    "How do I {verb} a {adj} {noun} without a {noun}?",
    "My {who} wants to {verb} the {noun} in {where} before the {adj} {noun} arrives.",
    "Can you {verb} this {tool} script so that {name} returns {number} {unit}?",
    "Why does {name} fail with a {adj} {noun} when {name} holds {number} rows?",
    "Write a {adj} letter to my {who} about the {noun} and the {noun}.",
    "What is the difference between a {adj} {noun} and a {adj} {noun}?",
    "Give me {number} ideas for a {noun} that my {who} could {verb}.",
    "I have {number} {unit} left and a {adj} {noun} to {verb}.",
    "Is it safe to {verb} a {noun} next to a {adj} {noun} in {where}?",
    "Translate the {adj} {noun} of my {who} into plain words.",
    "The {noun} in {where} costs {number} {unit} more than the {adj} {noun}.",
    "Explain {tool} to a {who} who only knows {tool} and {adj} {noun} work.",
    "Suppose {number} {adj} {noun} items share {number} {unit}; how long until they {verb}?",
    "Please {verb} and {verb} the paragraph on the {adj} {noun} below.",
    "It should be {adj}, mention {where}, and end with the {noun}.",
    "Our {who} said the {noun} is {adj}, but the {noun} shows {number} {unit}.",
    "Which {tool} library can {verb} a {noun} with {name} and {name}?",
    "Plan {number} days in {where} with a {who}, a {adj} {noun} and no {noun}.",
    "def {name}({name}): return {number} raises on {adj} {noun} input.",
    "Fix the {tool} error: {name} is not a {noun} near line {number}.",
    "Compare {where} and {where} for someone who wants to {verb} a {noun}.",
    "A {who} {verb}s {number} {noun} boxes while a {who} {verb}s {number}.",
    "Tell a {adj} story of a {who}, a {noun} and the {adj} {noun} of {where}.",
    "Make the {noun} section {adj} and drop the {noun} about {where}.",
    "Prove that every {adj} {noun} has at most {number} {adj} {noun} neighbours.",
    "SELECT {name} FROM {name} WHERE {name} > {number} is {adj}, why?",
    "Wie kann ich {noun} und {noun} in {where} mit {number} {unit} planen?",
    "Necesito {verb} un {noun} {adj} para mi {who} en {where}.",
    "Rate this {noun}: {adj}, {adj}, {number} {unit}, seen by one {who}.",
    "Next, {verb} the {adj} version for {where} only.",
    "Also, what happens to {name} if the {noun} is {adj}?",
    "Our {tool} job {name} took {number} {unit} last night because of a {adj} {noun}.",
    "Find the {adj} bug between {name} and {name} in the {tool} module.",
    "She left a {noun} at the {adj} {noun} in {where} some {number} {unit} ago.",
    "List the {adj} risks when a {who} tries to {verb} the {noun}.",
)
"""What people ask; free prompts are one to five of these."""

HEADS: Final = (
    "", "", "", "Hey, ", "Quick one: ", "For my {adj} {noun}: ", "As a {adj} {who} in {where}: ",
    "Regarding {name} and the {noun}, ", "Since the {noun} is {adj}, ", "Hello from {where}. ",
    "My {adj} {who} asked this. ", "Before we {verb} the {adj} {noun}: ", "Still on {noun}: ",
    "({tool}, {noun}, {number} {unit}) ", "Ignore the {adj} {noun} for now. ", "Ok so, ",
)  # fmt: skip
TAILS: Final = (
    "", "", "", " Mind the {adj} {noun}.", " The {who} from {where} disagrees about the {noun}.",
    " We only have {number} {unit} and one {adj} {noun}.", " Use {name} where you {verb}.",
    " It broke after {name} met {name}.", " No {noun}, no {noun}, please.", " Thanks a lot!",
    " Think of a {adj} {noun} near {where}.", " I already tried to {verb} and {verb} it.",
    " (the {adj} {noun}, not the {noun})", " My {who} needs it in {number} {unit}.", " Cheers",
)  # fmt: skip
"""What people put before and after a sentence, so that two strangers' sentences differ."""

RULES: Final = (
    "[Explain|Describe|Set out] each {adj} step [before|ahead of] {goal}.",
    "[Think|Reason|Work] through the {noun} as a {role} [would|might], then [give|state] {goal}.",
    "[Never|Do not] [mention|refer to] the {noun} or the {adj} {noun} [at all|anywhere].",
    "[Return|Output|Produce] {goal} [followed by|and after it] {goal}.",
    "[Use|Rely on] {tool} [for|in] every {adj} {noun} and [number|count] the {noun} parts.",
    "[Check|Verify|Confirm] {goal} against the {adj} {noun} [twice|again] before you answer.",
    "[Write|Answer] [as if|as though] a {who} in {where} [had to|must] {verb} it.",
    "[List|Name] the {noun} assumptions, the {adj} ones first, [then|and next] {goal}.",
    "[Limit|Restrict] the {noun} part to {number} lines and [skip|omit] the {adj} preamble.",
    "[If|Whenever] the {noun} is {adj}, [say so|tell me] and [propose|offer] {goal} instead.",
    "[Begin|Start] with {goal}, [close|end] with a {adj} {noun} of {number} words.",
    "[Show|Reveal] the {adj} reasoning that leads from the {noun} to {goal}.",
    "[Split|Break] the {noun} into {adj} pieces and [solve|treat] them one by one.",
    "[Rank|Order] at least {number} {adj} options by how they {verb} the {noun}.",
    "[Call|Invoke] the {name} tool [when|where] the {noun} needs it and [print|show] its result.",
    "[Assume|Suppose] the reader is a {who} with a {adj} {noun} and no {tool}.",
)
"""Instructions that wrap a question; templates of honest products and of clusters alike."""

OPENERS: Final = (
    "[You are|Act as|Take the part of] a {role} for {adj} {noun} work.",
    "I want you to act as a {role} [and help|who helps] a {who} with a {noun}.",
    "[As|Being] a {role}, [handle|take on] the {adj} {noun} request below.",
    "[Here is|This is|Consider] a {adj} {noun} task for a {role}.",
    "[Context|Setting]: a {role} in {where} [maintains|keeps] a {adj} {noun}.",
)
"""How a template begins."""

LEADS: Final = (
    "[Task|Question|Problem]:",
    "My first request is:",
    "[Input|Text]:",
    "Request {number}:",
    "The {noun} reads:",
    "Here is the {adj} {noun}:",
)
"""What stands before the slot that holds the question."""

SHORT: Final = (
    "thanks", "continue", "yes", "ok", "go on", "hi", "hello", "try again", "shorter please",
    "explain", "fix this", "why?", "summarise this", "no", "yes please", "next", "more",
    "can you explain that again?", "what does this mean?", "translate to english", "test",
    "make it shorter", "rewrite this", "give me an example", "are you sure?", "keep going",
    "thank you!", "step by step please", "in one sentence", "write the code", "what is this",
)  # fmt: skip
"""Turns of a dialogue that strangers type alike, the most usual first."""
