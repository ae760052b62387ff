"""Classes of options as parameters of a command: each field is an option with the field's docstring as its help."""

import ast
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import cyclopts
from pydantic import BaseModel, BeforeValidator, ValidationError

from saccade.cli.console import not_empty
from saccade.errors import UsageError
from saccade.tasks.registry import all_task_commands

Kind = Literal["predict_options", "val_options"]
OptionsType = TypeVar("OptionsType", bound=BaseModel)


def options_to_parameters(options: type[BaseModel], group: str) -> list[inspect.Parameter]:
    """A keyword parameter for each field, in a group of the help."""
    docstrings = _field_docstrings(options)
    parameters = []
    for name, field in options.model_fields.items():
        converter: Any = _texts if get_origin(field.annotation) is tuple else _text
        if {bool, Path} & {field.annotation, *get_args(field.annotation)}:
            converter = not_empty  # cyclopts converts these as pydantic does
        several = field.annotation in (tuple[Path, ...], tuple[str, ...])  # `--pairs a b`
        shown = cyclopts.Parameter(
            group=group,
            help=docstrings.get(name),
            converter=converter,
            consume_multiple=several,
            negative_iterable=(),
            show_default=False if field.default == () else None,
        )
        written = any(isinstance(each, BeforeValidator) for each in field.metadata)  # such as 1h or 4GB
        type_ = (str | None,) if written else (field.annotation, *field.metadata)
        default = str(field.default) if written and field.default is not None else field.default
        annotation: Any = Annotated.__class_getitem__((*type_, shown))  # type: ignore[attr-defined]
        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters.append(inspect.Parameter(name, keyword, default=default, annotation=annotation))
    return parameters


def task_parameters(kind: Kind) -> list[inspect.Parameter]:
    """The options of all tasks by name, grouped in the help by the tasks that have them."""
    tasks: dict[str, list[str]] = {}
    for task in all_task_commands():
        for name in getattr(task, kind).model_fields:
            tasks.setdefault(name, []).append(task.name)
    parameters: dict[str, inspect.Parameter] = {}
    for task in all_task_commands():
        for name in getattr(task, kind).model_fields:
            if name not in parameters:
                *first, last = tasks[name]
                group = f"Options of {', '.join(first)}{' and ' if first else ''}{last} models"
                parameters |= {p.name: p for p in options_to_parameters(getattr(task, kind), group) if p.name == name}
    return list(parameters.values())


def with_options(**sets: Sequence[inspect.Parameter]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator that puts parameters in the place of one that takes them together: it gets those that were given, as
    a dictionary."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(function)
        own = [parameter for name, parameter in signature.parameters.items() if name not in sets]
        parameters = [*own, *(parameter for each in sets.values() for parameter in each)]

        @wraps(function)
        def command(*arguments: Any, **given: Any) -> None:
            values = {key: {p.name: given.pop(p.name) for p in each if p.name in given} for key, each in sets.items()}
            function(*arguments, **given, **values)

        command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return command

    return decorate


def build_options(options: type[OptionsType], given: Mapping[str, Any]) -> OptionsType:
    """An instance. Raises UsageError for a value that is out of range."""
    try:
        return options(**given)
    except ValidationError as error:
        first = error.errors()[0]
        together = first.get("ctx", {}).get("error")
        if not first["loc"] and isinstance(together, UsageError):  # of options that do not go together
            raise together from error
        name = ".".join(map(str, first["loc"])).replace("_", "-")
        value = given[str(first["loc"][0])] if len(first["loc"]) == 1 else first["input"]  # as it was written
        raise UsageError(f"--{name} {value}: {first_error_message(error)}") from error


def first_error_message(error: ValidationError) -> str:
    """What is wrong with a value, to follow the value and a colon."""
    message = error.errors()[0]["msg"]
    return f"{message[:1].lower()}{message[1:]} (see saccade --help)"


def options_for_task(task: Any, kind: Kind, given: Mapping[str, Any], model: str) -> Any:
    """The options of one task out of all that are given. Raises UsageError for an option that it does not have."""
    own = getattr(task, kind)
    for name in given:
        if name not in own.model_fields:
            having = " or ".join(each.name for each in all_task_commands() if name in getattr(each, kind).model_fields)
            option = name.replace("_", "-")
            raise UsageError(f"--{option} is an option of {having} models; {model} is a {task.name} model")
    return build_options(own, given)


def _text(_: Any, tokens: Sequence[cyclopts.Token]) -> str:
    return tokens[0].value  # as it was written: pydantic converts it, more strictly than cyclopts


def _texts(_: Any, tokens: Sequence[cyclopts.Token]) -> list[str]:
    return [token.value for token in tokens]


def _field_docstrings(options: type[BaseModel]) -> dict[str, str]:
    """Name of a field -> the string below it, from the source of the class and of its bases."""
    docstrings: dict[str, str] = {}
    for each in reversed(options.__mro__[: options.__mro__.index(BaseModel)]):
        for definition in _syntax_tree(each.__module__).body:
            if isinstance(definition, ast.ClassDef) and definition.name == each.__name__:
                for field, below in zip(definition.body, definition.body[1:], strict=False):
                    match field, below:
                        case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(ast.Constant(str(text))):
                            docstrings[name] = " ".join(text.split())
    return docstrings


@cache
def _syntax_tree(module: str) -> ast.Module:
    """Parsing a module takes a millisecond; `inspect.getsource` of a class in it takes twenty."""
    try:
        return ast.parse(inspect.getsource(sys.modules[module]))
    except OSError:  # installed without its source
        return ast.Module([], [])
