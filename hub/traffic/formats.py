"""The log formats that can be read, and how a file's own bytes say which one it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hub.errors import InputError
from hub.traffic import (
    azure,
    bedrock,
    cloudflare,
    cloudflare_logpush,
    envoy,
    generic,
    generic_csv,
    generic_jsonl,
    generic_parquet,
    helicone,
    kong,
    langfuse,
    litellm,
    nginx,
    ocsf,
    oneapi,
    openai_compatible,
    otel,
    portkey,
    vertex,
    vllm,
)
from hub.traffic.decode import Format, Head
from hub.traffic.problems import EXAMPLES
from hub.traffic.reader import LogReader
from hub.traffic.source import Source

AUTO: Final = "auto"
# A new format is one module and one entry here.
_FORMATS: Final[tuple[Format, ...]] = (
    generic_csv.FORMAT,
    generic_jsonl.FORMAT,
    generic_parquet.FORMAT,
    litellm.SPEND,
    litellm.PAYLOAD,
    otel.FORMAT,
    nginx.FORMAT,
    azure.FORMAT,
    bedrock.FORMAT,
    cloudflare.FORMAT,
    cloudflare_logpush.FORMAT,
    envoy.FORMAT,
    helicone.FORMAT,
    kong.FORMAT,
    langfuse.FORMAT,
    oneapi.NEW,
    ocsf.FORMAT,
    oneapi.ONE,
    openai_compatible.FORMAT,
    portkey.FORMAT,
    vertex.FORMAT,
    vllm.FORMAT,
)


def format_names() -> tuple[str, ...]:
    """The names that `open_log` takes as `format`, beside `auto`."""
    return tuple(known.name for known in _FORMATS)


def format_titles() -> tuple[tuple[str, str], ...]:
    """Each name of `format_names`, and what people call that log."""
    return tuple((known.name, known.title) for known in _FORMATS)


def open_log(
    path: Path,
    *,
    format: str = AUTO,
    mapping: Mapping[str, str] | None = None,
    examples: int = EXAMPLES,
) -> LogReader:
    """Open one log file for streaming.

    Args:
        path: a file, plain, gzip or zstd; told by content, not by name.
        format: a name of `format_names()`, or `auto`.
        mapping: TRAFFIC column (or its generic alias, such as `timestamp`) to the source's own
            field name, dotted for a nested field of JSON lines; generic formats only. A prompt
            that is named so may be a chat as JSON: then the user's texts are the prompt.
        examples: how many rejected lines and fields are kept to be shown.
    Raises:
        InputError: unreadable or empty file, unknown or ambiguous format (the candidates are
            named), a mapping that does not fit.
    """
    columns = {generic.canonical(name): field for name, field in (mapping or {}).items()}
    source = Source(path)
    head = Head(source.head(), columns)
    chosen = _by_content(head, path) if format == AUTO else _by_name(format)
    if columns and not chosen.generic:
        raise _not_generic(chosen, path)
    decoder = chosen.open(source, head)
    chats = "prompt" in columns
    return LogReader(source, decoder, chosen.name, examples=examples, chats=chats)


def _by_name(name: str) -> Format:
    for known in _FORMATS:
        if known.name == name:
            return known
    raise InputError(
        f"there is no log format '{name}'", hint=f"{AUTO}, " + ", ".join(format_names())
    )


def _mapped(head: Head, path: Path) -> Format:
    """The generic format of this shape: opening it says which field of a mapping is not there."""
    for known in _FORMATS:
        if not known.generic and known.recognises(head):
            raise _not_generic(known, path)
    return generic_jsonl.FORMAT if head.records else generic_csv.FORMAT


def _not_generic(chosen: Format, path: Path) -> InputError:
    return InputError(
        f"--map is for the generic formats; {chosen.name} has field names of its own",
        where=str(path),
    )


def _by_content(head: Head, path: Path) -> Format:
    """The one format that recognises the head; with a mapping, of the generic ones."""
    options = [known for known in _FORMATS if known.generic or not head.mapping]
    found = [known for known in options if known.recognises(head)]
    if len(found) == 1:
        return found[0]
    if not found and head.mapping:
        return _mapped(head, path)
    if not found:
        raise InputError(
            "no known log format fits the first lines" + generic.listed(generic_csv.header(head)),
            where=str(path),
            hint="--format NAME ("
            + ", ".join(known.name for known in options)
            + "), or --map timestamp=NAME,... for columns of other names; "
            + generic.HINT,
        )
    names = " and ".join(known.name for known in found)
    raise InputError(
        f"the first lines fit more than one format: {names}",
        where=str(path),
        hint=f"--format {found[0].name}",
    )
