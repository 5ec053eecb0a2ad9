"""Run medallion as its users do, in a process of its own, on a free port.

`python -m tests.interop.medallion_process CONFIG` prints the port as one line of JSON once the
port is open. medallion's own script does the same, but cannot choose a port and tell it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

USER, PASSWORD = "partner", "correct horse"


@contextmanager
def medallion(folder: Path, backend: dict[str, Any], *, page: int = 1000) -> Iterator[str]:
    """A medallion process over a backend; gives its URL without a slash at the end.

    Args:
        folder: where its configuration and log go.
        backend: the "backend" section of medallion's configuration.
        page: `max_page_size`.
    """
    config = folder / "medallion.json"
    settings = {
        "users": {USER: PASSWORD},
        "taxii": {"max_page_size": page},
        "backend": backend,
    }
    config.write_text(json.dumps(settings), encoding="utf-8")
    with (folder / "medallion.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.interop.medallion_process", str(config)],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            stderr=log,
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise RuntimeError((folder / "medallion.log").read_text(encoding="utf-8"))
            yield f"http://127.0.0.1:{json.loads(line)['port']}"
        finally:
            process.terminate()
            process.wait(timeout=10)
            if process.stdout is not None:
                process.stdout.close()


def stock_backend(data: Path, collections: list[dict[str, Any]]) -> dict[str, Any]:
    """The configuration of medallion's own memory backend, its data written to a file.

    Args:
        data: where to write it.
        collections: collection resources; "objects" and "manifest" are added when absent.
    """
    full = [
        {"media_types": ["application/stix+json;version=2.1"], "objects": [], "manifest": []} | one
        for one in collections
    ]
    data.write_text(
        json.dumps(
            {
                "/discovery": {
                    "title": "Stock medallion",
                    "default": "/stock/",
                    "api_roots": ["/stock/"],
                },
                "stock": {
                    "information": {
                        "title": "Stock medallion",
                        "versions": ["application/taxii+json;version=2.1"],
                        "max_content_length": 104_857_600,
                    },
                    "status": [],
                    "collections": full,
                },
            }
        ),
        encoding="utf-8",
    )
    return {
        "module": "medallion.backends.memory_backend",
        "module_class": "MemoryBackend",
        "filename": str(data),
    }


def main() -> None:
    """Serve the configuration named on the command line until ended."""
    from medallion import load_app
    from werkzeug.serving import make_server

    application = load_app(sys.argv[1])
    server = make_server("127.0.0.1", 0, application, threaded=True)
    print(json.dumps({"port": server.server_port}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
