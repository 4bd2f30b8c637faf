"""Whether a value is of a type of the contract, looked at while the program runs: the types are held against what it answers."""

from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def problems(value, of, path="answer"):
    """What does not fit."""
    if of is Any:
        return []
    if hasattr(of, "__required_keys__"):
        return of_object(value, of, path)
    origin, inner = get_origin(of), get_args(of)
    if origin is Union:
        found = [problems(value, part, path) for part in inner]
        return [] if any(not each for each in found) else found[0]
    if origin is Literal:
        return [] if value in inner else [f"{path}: {value!r} is none of {inner}"]
    if origin is list:
        if not isinstance(value, list):
            return [f"{path}: {value!r} is no list"]
        return [each for at, part in enumerate(value) for each in problems(part, inner[0], f"{path}[{at}]")]
    if origin is dict:
        if not isinstance(value, dict):
            return [f"{path}: {value!r} is no object"]
        return [each for key, part in value.items() for each in problems(part, inner[1], f"{path}.{key}")]
    if of is float:
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
    else:
        fits = isinstance(value, of) and not (of is int and isinstance(value, bool))
    return [] if fits else [f"{path}: {value!r} is no {of.__name__}"]


def of_object(value, of, path):
    if not isinstance(value, dict):
        return [f"{path}: {value!r} is no object"]
    hints = get_type_hints(of)
    found = [f"{path}: {key} is missing" for key in of.__required_keys__ if key not in value]
    found += [f"{path}: {key} is not known" for key in value if key not in hints]
    return found + [each for key in value if key in hints for each in problems(value[key], hints[key], f"{path}.{key}")]
