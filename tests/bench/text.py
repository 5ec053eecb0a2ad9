"""Phrases and expressions in prompts, and all layers of prompts at once.

Beside `grep -F -f` with the phrases alone, and beside bare Hyperscan: its Python module with one
database of everything, scanning the same texts, its handler only counting. Reading the file is
counted for all, building what is searched for is not. All sides use one core.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import hyperscan
import pyarrow as pa
import pyarrow.parquet as pq

from hub.fingerprint import prompts
from hub.match.engine import IndicatorIndex
from hub.match.index.expressions import spelled
from hub.match.index.text import TextIndex
from hub.match.syntax import Comparison, ObjectPath, Operator
from hub.model.pattern import any_of
from tests.bench import sides
from tests.bench.corpus import Corpus
from tests.bench.sides import Outcome
from tests.bench.table import Row

PROMPTS: Final = 40_000
BATCH: Final = 20_000
_PATH: Final = ObjectPath("llm-exchange", ("prompt", "text"))
_ROUNDS: Final = 2


def measure() -> list[Row]:
    """Measure everything; takes a few minutes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = Corpus()
        texts = list(corpus.prompts(PROMPTS))
        pq.write_table(
            pa.table({"prompt": pa.array(texts, pa.large_string())}), folder / "p.parquet"
        )
        (folder / "prompts.txt").write_text("\n".join(texts) + "\n")
        (folder / "phrases.txt").write_text("\n".join(corpus.phrases) + "\n")
        module = "tests.bench.text"
        phrases = sides.compare(module, ("phrases", "grep"), str(folder))
        everything = sides.compare(module, ("everything", "hyperscan"), str(folder))
        without = sides.run(module, "without", str(folder))
        layers = sides.run(module, "layers", str(folder))
    ours, grep = everything["everything"], phrases["grep"]
    bare, size = everything["hyperscan"], sum(map(len, texts)) / len(texts)
    return [
        _row("10k phrases + 1k regexes; grep -F: the phrases alone", ours, grep, "4x"),
        _row("10k phrases + 1k regexes; bare Hyperscan", ours, bare, "1/1.3"),
        _row("10k phrases; grep -F", phrases["phrases"], grep, ""),
        _row("10k phrases without the Hyperscan module; grep -F", without, grep, ""),
        Row("build 10k phrases + 1k regexes", _seconds(ours), _seconds(bare), None, ""),
        Row(
            f"all layers, {layers.figures['indicators']:,.0f} indicators, {size:.0f} B a prompt",
            _rate(layers.seconds),
            "",
            None,
            "100 k/s per core",
        ),
        *(
            Row(f"one prompt: {work}", f"{layers.figures[work]:.2f} us", "", None, "")
            for work in ("normalise", "bands", "template", "sha256")
        ),
    ]


def _row(work: str, ours: Outcome, theirs: Outcome, floor: str) -> Row:
    rates = _rate(ours.seconds), _rate(theirs.seconds)
    return Row(f"{work}, prompts/s", *rates, theirs.seconds / ours.seconds, floor)


def _rate(seconds: float) -> str:
    return f"{PROMPTS / seconds / 1000:,.0f} k/s"


def _seconds(outcome: Outcome) -> str:
    return f"{outcome.figures['build']:.2f} s"


def _batches(folder: Path) -> Iterator[pa.RecordBatch]:
    file = pq.ParquetFile(folder / "p.parquet")
    yield from file.iter_batches(BATCH, columns=["prompt"], use_threads=False)


def _comparisons(corpus: Corpus, *, regexes: bool) -> list[Comparison]:
    found = [Comparison(_PATH, Operator.LIKE, False, (f"%{one}%",), 0) for one in corpus.phrases]
    if regexes:
        found += (Comparison(_PATH, Operator.MATCHES, False, (r,), 0) for r in corpus.regexes)
    return found


def _best(work: Callable[[], object]) -> float:
    work()
    seconds = []
    for _ in range(_ROUNDS):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


def _searching(name: str, *, regexes: bool) -> Outcome:
    folder = Path(name)
    comparisons = _comparisons(Corpus(), regexes=regexes)
    TextIndex(comparisons[:1]).probe(pa.array(["a"], pa.large_string()))
    begun = time.perf_counter()
    index = TextIndex(comparisons)
    built = time.perf_counter() - begun

    def work() -> list[Any]:
        return [index.probe(batch.column(0)) for batch in _batches(folder)]

    hits = work()
    answer = (
        sum(len(keys) for _, keys in hits) if regexes else sum(len({*r.tolist()}) for r, _ in hits)
    )
    return Outcome(_best(work), str(answer), {"build": built})


def _phrases(name: str) -> Outcome:
    return _searching(name, regexes=False)


def _everything(name: str) -> Outcome:
    return _searching(name, regexes=True)


def _without(name: str) -> Outcome:
    absent: Any = None
    sys.modules["hyperscan"] = absent
    return _searching(name, regexes=False)


def _grep(name: str) -> Outcome:
    command = ["grep", "-c", "-F", "-f", f"{name}/phrases.txt", f"{name}/prompts.txt"]
    environment = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
    begun = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return Outcome(time.perf_counter() - begun, done.stdout.strip())


def _hyperscan(name: str) -> Outcome:
    folder = Path(name)
    found = _comparisons(Corpus(), regexes=True)
    begun = time.perf_counter()
    database = hyperscan.Database()
    database.compile(
        expressions=[str(spelled(one)).encode() for one in found],
        flags=hyperscan.HS_FLAG_SINGLEMATCH,
    )
    built = time.perf_counter() - begun
    count = 0

    def note(*_: object) -> None:
        nonlocal count
        count += 1

    def work() -> None:
        nonlocal count
        count = 0
        for batch in _batches(folder):
            column = batch.column(0)
            edges = memoryview(column.buffers()[1]).cast("q")
            data: Any = memoryview(column.buffers()[2])
            for row in range(len(column)):
                database.scan(data[edges[row] : edges[row + 1]], match_event_handler=note)

    seconds = _best(work)
    return Outcome(seconds, str(count), {"build": built})


def _indicators(corpus: Corpus, texts: list[str]) -> Iterator[dict[str, Any]]:
    """A tenth of each kind of prompt indicator; the rest addresses, blocks and accounts."""
    quote = "llm-exchange:prompt.text {} '{}'".format
    patterns = [f"[{quote('LIKE', f'%{one}%')}]" for one in corpus.phrases]
    patterns += (
        f"[{quote('MATCHES', one.replace(chr(92), chr(92) * 2))}]" for one in corpus.regexes
    )
    patterns += (f"[ipv4-addr:value = '198.51.{n % 256}.{n // 256}']" for n in range(20_000))
    patterns += (
        f"[ipv4-addr:value ISSUBSET '10.{n % 256}.{n // 256}.0/24']" for n in range(10_000)
    )
    patterns += (f"[user-account:user_id = 'acct-{n:020d}']" for n in range(57_000))
    made = [prompts.features(text) for text in (*corpus.templates, *texts[:9_600])]
    for number, one in enumerate(made):
        if number < 2_000:
            patterns.append(any_of("llm-exchange:prompt.lsh_bands[*]", one.lsh_bands))
        patterns.append(f"[llm-exchange:prompt.sha256_norm = '{one.sha256_norm}']")
        patterns.append(f"[llm-exchange:prompt.template_sha256 = '{one.template_sha256}']")
    for number, pattern in enumerate(patterns):
        yield {
            "type": "indicator",
            "id": f"indicator--00000000-0000-4000-8000-{number:012d}",
            "modified": "2026-11-01T00:00:00.000Z",
            "pattern_type": "stix",
            "pattern": pattern,
            "valid_from": "2026-11-01T00:00:00Z",
        }


def _events(texts: list[str]) -> pa.RecordBatch:
    count = len(texts)
    return pa.RecordBatch.from_pydict(
        {
            "observed_at": pa.array([1_793_491_200_000_000] * count, pa.timestamp("us", "UTC")),
            "event_id": [f"e{n}" for n in range(count)],
            "account_id": [f"acct-{n % 100_000:020d}" for n in range(count)],
            "client_ip": [f"203.{n % 251}.{n % 241}.{n % 239}" for n in range(count)],
            "prompt": pa.array(texts, pa.large_string()),
        }
    )


def _layers(name: str) -> Outcome:
    corpus = Corpus()
    texts = pq.read_table(Path(name) / "p.parquet").column("prompt").to_pylist()
    index = IndicatorIndex.build(_indicators(corpus, list(Corpus(seed=2).prompts(9_600))))
    assert index.problems == (), index.problems[:3]
    batches = [_events(texts[first : first + BATCH]) for first in range(0, PROMPTS, BATCH)]
    hits = sum(index.match(batch, source="bench").num_rows for batch in batches)
    seconds = _best(lambda: [index.match(batch, source="bench") for batch in batches])
    column = pa.array(texts, pa.large_string())
    normal = prompts.normalise_batch(column)
    rates = {
        "normalise": lambda: prompts.normalise_batch(column),
        "bands": lambda: prompts.bands_batch(normal),
        "template": lambda: prompts.template_batch(normal),
        "sha256": lambda: prompts.sha256_batch(normal),
    }
    figures = {work: _best(run) / PROMPTS * 1e6 for work, run in rates.items()}
    return Outcome(seconds, str(hits), {"indicators": len(index), **figures})


SIDES: Final = {
    "phrases": _phrases,
    "everything": _everything,
    "without": _without,
    "grep": _grep,
    "hyperscan": _hyperscan,
    "layers": _layers,
}

if __name__ == "__main__":
    sides.main(SIDES)
