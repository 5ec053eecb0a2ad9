"""The pass of `stillwatch cluster` over its logs: blocks reduced in parallel, taken in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import pyarrow as pa

from hub.cli.match_progress import Show
from hub.cli.match_report import SourceReport
from hub.cli.match_run import Opened
from hub.cli.match_words import plain
from hub.cli.match_work import Window, in_order
from hub.match.cluster import ClusterDetector, Reduced
from hub.match.cluster.collect import COLUMNS
from hub.match.engine import IndicatorIndex
from hub.match.run import Run
from hub.traffic.account_rows import ID_COLUMNS
from hub.traffic.accounts import AccountTable

_BATCHES: Final = 1 << 12
UNNAMED: Final = "no campaign"


@dataclass
class _Block:
    batches: list[Reduced] = field(default_factory=list)
    matches: list[pa.Table] = field(default_factory=list)
    outside: int = 0
    joined: int = 0
    read: int = 0


@dataclass
class Reading:
    """Reads logs into a detector, and notes which accounts indicators hit.

    Attributes:
        hits: campaign id to indicator ids to accounts.
    """

    detector: ClusterDetector
    index: IndicatorIndex
    accounts: AccountTable | None
    window: Window
    progress: Show
    jobs: int
    sources: list[SourceReport] = field(default_factory=list)
    hits: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    _blocks: int = 0
    _bytes: int = 0
    _rows: int = 0

    def __call__(self, opened: Opened) -> None:
        """Read the logs in their order."""
        run = self.index.run()
        pool = ThreadPoolExecutor(self.jobs) if self.jobs > 1 else None
        with pool or nullcontext():
            for log, reader in opened:
                source = SourceReport(
                    name=log.source,
                    format=reader.format_name,
                    rows=0,
                    outside=0,
                    matched=0,
                    joined=None if self.accounts is None else 0,
                    columns={},
                    empty=[],
                    coverage=self.index.coverage(reader.columns),
                    reader=reader,
                )
                wanted = COLUMNS | self.index.columns | set(ID_COLUMNS)
                tasks = self._steps(reader.tasks(columns=wanted), run, log.source, reader)
                for block in in_order(pool, self.jobs, tasks):
                    self._take(block, source)
                self._end(source)
        for matches in [run.finish()] if len(self.index) else []:
            self._note(matches)
        for campaign, indicators in self.hits.items():
            self.detector.seed(campaign, set().union(*indicators.values()))

    def _steps(
        self,
        tasks: Iterator[Callable[[], list[pa.RecordBatch]]],
        run: Run,
        source: str,
        reader: object,
    ) -> Iterator[Callable[[], _Block]]:
        for task in tasks:
            self._blocks += 1
            read = getattr(reader, "bytes_read", 0)
            yield partial(self._block, task, run, source, self._blocks, read)

    def _block(
        self,
        task: Callable[[], list[pa.RecordBatch]],
        run: Run,
        source: str,
        number: int,
        read: int,
    ) -> _Block:
        block = _Block(read=read)
        for place, whole in enumerate(task()):
            batch = self.window.cut(whole)
            block.outside += whole.num_rows - batch.num_rows
            if not batch.num_rows:
                continue
            if self.accounts is not None:
                before = batch
                batch = self.accounts.enrich(batch)
                block.joined += batch.num_rows if batch is not before else 0
            if len(self.index):
                position = number * _BATCHES + place
                found = run.match(batch, source=source, show_values=False, position=position)
                if found.num_rows:
                    block.matches.append(found)
            block.batches.append(self.detector.reduced(batch))
        return block

    def _take(self, block: _Block, source: SourceReport) -> None:
        for reduced in block.batches:
            batch = reduced.batch
            self.detector.add(reduced)
            source.rows += batch.num_rows
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                shown = len(column) - column.null_count
                if shown:
                    source.columns[name] = source.columns.get(name, 0) + shown
        for matches in block.matches:
            source.matched += matches.num_rows
            self._note(matches)
        source.outside += block.outside
        if source.joined is not None:
            source.joined += block.joined
        self._rows += sum(one.batch.num_rows for one in block.batches)
        self.progress(plain(source.name), self._bytes + block.read, self._rows)

    def _end(self, source: SourceReport) -> None:
        reader = source.reader
        self._bytes += reader.bytes_total
        shown = reader.glimpsed.union(source.columns) if source.rows else reader.columns
        source.coverage = self.index.coverage(shown)
        self.sources.append(source)

    def _note(self, matches: pa.Table) -> None:
        """Which account which indicator hit; hits without an account seed nothing."""
        chosen = matches.select(["account_id", "indicator_id", "campaign_ids"]).drop_null()
        for row in chosen.to_pylist():
            for campaign in row["campaign_ids"] or [UNNAMED]:
                found = self.hits.setdefault(campaign, {}).setdefault(row["indicator_id"], set())
                found.add(row["account_id"])
