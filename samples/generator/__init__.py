"""The story behind the sample data, and the writers of its files."""
