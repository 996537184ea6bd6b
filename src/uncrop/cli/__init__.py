"""The command line: one command a file, imports inside the command."""


def main() -> None:
    """Run the command line."""
    raise NotImplementedError
