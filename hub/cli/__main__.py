"""`python -m hub.cli` is the `stillwatch` command."""

from hub.cli.main import main

main()
