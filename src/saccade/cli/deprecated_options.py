"""Options under their old names, which are accepted until the next release."""

from collections.abc import Callable

# old -> new
RENAMED_OPTIONS = {
    "--bad": "--on-error",
    "--border": "--boundary-weight",
    "--calm": "--mixup-off-fraction",
    "--colour": "--color-jitter",
    "--depth": "--decoder-depth",
    "--detail": "--cache-size",
    "--erase": "--random-erasing",
    "--fine": "--pixel-channels",
    "--flip": "--hflip",
    "--grow": "--progressive-resize",
    "--hold-out": "--val-fraction",
    "--mix": "--mixup-prob",
    "--noised": "--denoising-queries",
    "--quarter-turns": "--rot90",
    "--start": "--weights",
    "--trivial": "--trivial-augment",
    "--upside-down": "--vflip",
}
_COMMANDS = ("train", "val", "predict")
_NEVER_RENAMED = ["train", "generate"]  # has a --depth of its own


def rename_options(arguments: list[str], warn: Callable[[str], None]) -> list[str]:
    """The arguments with old option names replaced; `warn` gets a sentence for each."""
    if not arguments or arguments[0] not in _COMMANDS or arguments[:2] == _NEVER_RENAMED:
        return arguments
    return [_renamed(argument, warn) for argument in arguments]


def _renamed(argument: str, warn: Callable[[str], None]) -> str:
    option, equals, value = argument.partition("=")
    negative = option.startswith("--no-")
    positive = f"--{option.removeprefix('--no-')}" if negative else option
    if positive not in RENAMED_OPTIONS:
        return argument
    new = RENAMED_OPTIONS[positive]
    new = f"--no-{new.removeprefix('--')}" if negative else new
    warn(f"{option} is called {new} now; the old name will go away in the next release")
    return new + equals + value
