"""Messages of errors."""

import pickle

import pytest

from saccade.errors import CheckpointError, DataError, GraphError, SaccadeError, UsageError, is_parser_error, printable


@pytest.mark.parametrize("kind", [SaccadeError, UsageError, DataError, CheckpointError, GraphError])
def test_messages_are_one_printable_line(kind):
    name = "a\x1b[31m\u202e\n\ud800.png"
    error = kind(f"{name} cannot be opened")
    assert str(error) == "a\\x1b[31m\\u202e\\n\\ud800.png cannot be opened"
    assert str(kind(str(error))) == str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(kind()) == ""


def test_printable_leaves_other_scripts():
    assert printable("빨간 별 – é 日本") == "빨간 별 – é 日本"


def test_interrupts_are_not_errors_of_parsers():
    panic = type("PanicException", (BaseException,), {})
    assert is_parser_error(ValueError())
    assert is_parser_error(panic())
    assert not is_parser_error(KeyboardInterrupt())
    assert not is_parser_error(SystemExit())
