"""The command line: one pair inspected from a shell, without a database."""
