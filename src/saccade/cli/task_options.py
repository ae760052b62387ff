"""Options that only some tasks have, as one set of options of a command."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from pydantic import ConfigDict, Field, create_model

from saccade.errors import UsageError
from saccade.options import Options
from saccade.tasks.registry import all_commands

Kind = Literal["predict_options", "val_options"]


class _Merged(Options):
    model_config = ConfigDict(use_attribute_docstrings=False)  # descriptions are given; no source to search


def merged_options(kind: Kind) -> type[Options]:
    """The options of all tasks by name, grouped in the help by the tasks that have them."""
    tasks: dict[str, list[str]] = {}
    fields: dict[str, Any] = {}
    for task in all_commands():
        for name, field in getattr(task, kind).model_fields.items():
            tasks.setdefault(name, []).append(task.name)
            fields.setdefault(name, field)
    definitions: dict[str, Any] = {}
    for name, field in fields.items():
        metadata = (*field.metadata, Parameter(group=f"Options of {' and '.join(tasks[name])} models"))
        annotation: Any = Annotated.__class_getitem__((field.annotation, *metadata))  # type: ignore[attr-defined]
        definitions[name] = (annotation, Field(field.default, description=field.description))
    return create_model(kind, __base__=_Merged, **definitions)


def options_of(task: Any, kind: Kind, given: Options | None, model: str) -> Any:
    """The options of one task out of all that are given. Raises UsageError for an option that it does not have."""
    values = {} if given is None else given.model_dump(include=given.model_fields_set)
    own = getattr(task, kind)
    for name in values:
        if name not in own.model_fields:
            having = [each.name for each in all_commands() if name in getattr(each, kind).model_fields]
            option = name.replace("_", "-")
            raise UsageError(f"--{option} is an option of {_or(having)} models; {model} is a {task.name} model")
    return own(**values)


def _or(names: Sequence[str]) -> str:
    return " or ".join(names)
