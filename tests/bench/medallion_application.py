"""medallion's application for a WSGI server; MEDALLION_CONFIG names its configuration."""

from __future__ import annotations

import os

from medallion import load_app

application = load_app(os.environ["MEDALLION_CONFIG"])
