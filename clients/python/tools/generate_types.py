"""Writes src/crest_client/types.py: the schemas of the program's contract, as types.

    python3 tools/generate_types.py [CONTRACT]

CONTRACT is src/http/openapi.json of the repository, unless it is named. A test holds what is written against it. The contract
uses a part of JSON Schema; what is not known here is an error, so that no type says less than the contract by oversight.
"""

import json
import keyword
import sys
import textwrap
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONTRACT = HERE.parents[2] / "src" / "http" / "openapi.json"
TARGET = HERE.parent / "src" / "crest_client" / "types.py"

HEAD = '''"""What the API answers, as its contract says it: written by tools/generate_types.py, not by hand.

Times are milliseconds since 1970 UTC.
"""

from __future__ import annotations

from typing import Any, Dict, List, Literal, Optional, TypedDict, Union
'''

PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
# They narrow a value and not its type.
PASSED_OVER = {"description", "minimum", "maximum", "default", "format"}


class Writer:
    """The definitions so far. Objects within objects get names of their own."""

    def __init__(self, schemas):
        self.schemas = schemas
        self.written = []

    def define(self, name, schema):
        """Writes one named schema."""
        properties, required = self.members(schema)
        if properties is None:
            self.written.append(f"{name} = {self.of(schema, name)}\n{doc(schema, '')}")
            return
        for key in properties:
            if keyword.iskeyword(key):
                raise SystemExit(f"{name}.{key}: a class cannot have this key")
        needed = {key: value for key, value in properties.items() if key in required}
        optional = {key: value for key, value in properties.items() if key not in required}
        if optional and needed:
            # Python 3.9 has no other way to say which keys may be absent.
            self.write_class(f"_{name}", "TypedDict", needed, name)
            self.write_class(name, f"_{name}, total=False", optional, name, schema)
        else:
            total = ", total=False" if optional else ""
            self.write_class(name, f"TypedDict{total}", properties, name, schema)

    def members(self, schema):
        """The properties of an object and which of them are required; None of what has none."""
        if "allOf" in schema:
            properties, required = {}, []
            for part in schema["allOf"]:
                part = self.resolve(part)
                properties.update(part.get("properties", {}))
                required += part.get("required", [])
            return properties, required
        if "properties" in schema:
            return schema["properties"], schema.get("required", [])
        return None, []

    def resolve(self, schema):
        return self.schemas[schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema

    def write_class(self, name, bases, properties, owner, schema=None):
        lines = [f"class {name}({bases}):"]
        if schema is not None and "description" in schema:
            lines.append(doc(schema, "    ").rstrip())
        for key, value in properties.items():
            of = self.of(value, owner + "".join(part.title() for part in key.split("_")))
            lines.append(f"    {key}: {of}")
            if "description" in value:
                lines.append(doc(value, "    ").rstrip())
        self.written.append("\n".join(lines) + "\n")

    def of(self, schema, name):
        """The type of a schema, which is `name` if it needs one."""
        if "$ref" in schema:
            return quoted(schema["$ref"].rsplit("/", 1)[1])
        for kind in ("oneOf", "anyOf"):
            if kind in schema:
                parts = [self.of(part, name) for part in schema[kind]]
                rest = [part for part in parts if part != "None"]
                of = rest[0] if len(rest) == 1 else f"Union[{', '.join(rest)}]"
                return of if len(rest) == len(parts) else f"Optional[{of}]"
        if "const" in schema:
            return f"Literal[{schema['const']!r}]"
        if "enum" in schema:
            return f"Literal[{', '.join(repr(value) for value in schema['enum'])}]"
        unknown = set(schema) - PASSED_OVER - {"type", "items", "properties", "required", "additionalProperties"}
        if unknown:
            raise SystemExit(f"{name}: {sorted(unknown)} of the contract is not known here")
        kind = schema.get("type")
        if isinstance(kind, list):
            parts = [self.of({"type": part}, name) for part in kind if part != "null"]
            of = parts[0] if len(parts) == 1 else f"Union[{', '.join(parts)}]"
            return f"Optional[{of}]" if "null" in kind else of
        if kind == "null":
            return "None"
        if kind in PLAIN:
            return PLAIN[kind]
        if kind == "array":
            return f"List[{self.of(schema['items'], name)}]"
        if kind == "object" and "properties" in schema:
            if any(keyword.iskeyword(key) for key in schema["properties"]):
                return self.functional(schema, name)
            self.define(name, schema)
            return quoted(name)
        if kind == "object":
            values = schema.get("additionalProperties", True)
            return f"Dict[str, {'Any' if values is True else self.of(values, name)}]"
        raise SystemExit(f"{name}: {schema} of the contract is not known here")

    def functional(self, schema, name):
        """An object with a key that a class cannot have."""
        required = schema.get("required", [])
        if required and set(required) != set(schema["properties"]):
            raise SystemExit(f"{name}: some of its keys may be absent, and one is a keyword")
        members = ", ".join(f'"{key}": {self.of(value, name)}' for key, value in schema["properties"].items())
        total = "" if required else ", total=False"
        self.written.append(f'{name} = TypedDict("{name}", {{{members}}}{total})\n')
        return quoted(name)


def quoted(name):
    return f'"{name}"'


def doc(schema, indent):
    """The description as a docstring."""
    text = schema.get("description")
    if text is None:
        return ""
    lines = textwrap.wrap(text, 110 - len(indent))
    if len(lines) == 1 and len(lines[0]) < 104 - len(indent):
        return f'{indent}"""{lines[0]}."""\n'
    return "\n".join([f'{indent}"""'] + [indent + line for line in lines]) + f'.\n{indent}"""\n'


def generate(contract):
    """The text of the module."""
    schemas = json.loads(Path(contract).read_text(encoding="utf-8"))["components"]["schemas"]
    writer = Writer(schemas)
    for name, schema in schemas.items():
        # It would hide Python's own.
        writer.define(name, schema)
    return HEAD + "\n\n" + "\n\n".join(writer.written)


if __name__ == "__main__":
    TARGET.write_text(generate(sys.argv[1] if len(sys.argv) > 1 else CONTRACT), encoding="utf-8")
