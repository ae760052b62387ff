"""The commands, each a few lines over the library."""

import cyclopts

app = cyclopts.App(name="saccade", help="Vision attention that you can use, see and touch.")


def main() -> None:
    app()
