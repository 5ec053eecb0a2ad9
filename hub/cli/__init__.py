"""The stillwatch command, one file per subcommand."""
