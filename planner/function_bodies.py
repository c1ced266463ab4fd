"""The Python text of a function in SQL: what forms it may have, and its code, which is compiled here and not run.

A text is the body of a function whose parameters are those of CREATE FUNCTION, and gives its value by `return`. Or it
is a module that defines what has the function's own name: with `def`, or with `class` for an aggregate.
"""

from __future__ import annotations

import ast
import keyword
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import CodeType

_OWN_SCOPE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
Definition = ast.FunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Body:
    """Code that, once run, leaves the function or class `handler` behind; `methods` are those of a class."""

    code: CodeType
    handler: str
    methods: frozenset[str]


class BodyProblem(Exception):
    """What is wrong with a text, and the half-open range of its characters where that stands, if it does."""

    def __init__(self, message: str, place: tuple[int, int] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place


def is_python_name(name: str) -> bool:
    """Whether `name` can be that of a parameter in Python."""
    return name.isidentifier() and not keyword.iskeyword(name)


def compiled(name: str, parameters: Sequence[str], text: str, *, is_aggregate: bool) -> Body:
    """The code of the function `name`. Raises BodyProblem for a text that defines no such function."""
    lines = _Lines(text)
    try:
        module = ast.parse("\n".join(lines.texts))
        defined = _defined(module, name)
        if defined is None:
            _refuse_no_value(module, name, is_aggregate, lines)
            defined = _function(name, parameters, module)
            module = ast.Module([defined], [])
        else:
            _check(defined, len(parameters), is_aggregate, lines)
        code = compile(module, f"<function {name}>", "exec", dont_inherit=True)
    except SyntaxError as error:
        raise BodyProblem(error.msg, lines.place_of_error(error)) from None
    except ValueError as error:  # a null character
        raise BodyProblem(str(error)) from None
    return Body(code, defined.name, frozenset(_methods(defined)))


class _Lines:
    """The lines of a text without the margin that they have in common, and where they stand in it."""

    def __init__(self, text: str) -> None:
        lines = text.replace("\r\n", "\n ").replace("\r", " ").split("\n")
        filled = [line for line in lines if line.strip()]
        common = os.path.commonprefix(filled)
        self.margin = len(common) - len(common.lstrip())
        self.texts = [line[self.margin :] if line.strip() else "" for line in lines]
        self._starts = [sum(len(line) + 1 for line in lines[:i]) for i in range(len(lines))]
        self._end = len(text)

    def place(self, line: int, column: int, end_line: int, end_column: int) -> tuple[int, int]:
        """The range of characters between two places, each a line from 1 and a column from 0."""
        start, end = self._at(line, column), self._at(end_line, end_column)
        return start, max(start + 1, end)

    def _at(self, line: int, column: int) -> int:
        if line > len(self._starts):
            return self._end
        return min(self._end, self._starts[line - 1] + self.margin + column)

    def place_of_error(self, error: SyntaxError) -> tuple[int, int]:
        """Where Python found a mistake."""
        line, column = error.lineno or 1, max(0, (error.offset or 1) - 1)
        ends_there = error.end_lineno == line and error.end_offset is not None and error.end_offset - 1 > column
        end = error.end_offset - 1 if ends_there and error.end_offset is not None else column + 1
        return self.place(line, column, line, end)

    def place_of(self, node: ast.stmt) -> tuple[int, int]:
        """The first line of a statement."""
        text = self.texts[node.lineno - 1]
        return self.place(node.lineno, node.col_offset, node.lineno, len(text.rstrip()))


def _defined(module: ast.Module, name: str) -> Definition | None:
    """What the module defines by the function's name, in any case: names of SQL have none."""
    found = [
        statement
        for statement in module.body
        if isinstance(statement, ast.FunctionDef | ast.ClassDef) and statement.name.lower() == name.lower()
    ]
    return found[-1] if found else None


def _function(name: str, parameters: Sequence[str], module: ast.Module) -> ast.FunctionDef:
    """A function with the statements of a module."""
    arguments = ast.arguments(
        posonlyargs=[], args=[ast.arg(p) for p in parameters], kwonlyargs=[], kw_defaults=[], defaults=[]
    )
    made = ast.FunctionDef(name if is_python_name(name) else "f", arguments, module.body, [], lineno=1, col_offset=0)
    return ast.fix_missing_locations(made)


def _refuse_no_value(module: ast.Module, name: str, is_aggregate: bool, lines: _Lines) -> None:
    """Raises BodyProblem for statements that give no value."""
    own = list(_own_nodes(module))
    wanted = f"class {name}" if is_aggregate else f"def {name}(…)"
    for node in own:
        if isinstance(node, ast.Yield | ast.YieldFrom | ast.Await):
            raise BodyProblem(
                "a function gives one value, by return",
                lines.place(node.lineno, node.col_offset, node.lineno, node.col_offset + 5),
            )
    if not any(isinstance(node, ast.Return) for node in own):
        others = [s for s in module.body if isinstance(s, _OWN_SCOPE)]
        place = lines.place_of(others[0]) if others else None
        raise BodyProblem(f"this gives no value: it has no return of its own, and no {wanted}", place)


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All below `node`, functions and classes inside left out."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, _OWN_SCOPE):
            yield from _own_nodes(child)


def _check(defined: Definition, count: int, is_aggregate: bool, lines: _Lines) -> None:
    """Raises BodyProblem for a definition that cannot be called as it will be."""
    place = lines.place_of(defined)
    if isinstance(defined, ast.FunctionDef):
        _check_count(defined, count, lines)
        return
    if not is_aggregate:
        raise BodyProblem("a class makes an aggregate: write CREATE AGGREGATE FUNCTION, or def", place)
    methods = _methods(defined)
    for needed in ("accumulate", "finish"):
        if needed not in methods and not defined.bases:
            raise BodyProblem(f"the class {defined.name} has no method {needed}", place)
    for method, wanted in (("accumulate", count), ("retract", count), ("finish", 0)):
        if method in methods:
            _check_count(methods[method], wanted + 1, lines)


def _methods(defined: Definition) -> dict[str, ast.FunctionDef]:
    if isinstance(defined, ast.FunctionDef):
        return {}
    return {s.name: s for s in defined.body if isinstance(s, ast.FunctionDef)}


def _check_count(defined: ast.FunctionDef, count: int, lines: _Lines) -> None:
    """Raises BodyProblem for a `def` that does not take so many arguments by place."""
    arguments = defined.args
    most = len(arguments.posonlyargs) + len(arguments.args)
    least = most - len(arguments.defaults)
    required = any(default is None for default in arguments.kw_defaults)
    if count < least or (count > most and arguments.vararg is None) or required:
        takes = f"{most}" if least == most else f"{least} to {most}"
        problem = f"{defined.name}() takes {takes} argument{'' if takes == '1' else 's'}, and gets {count}"
        raise BodyProblem(problem, lines.place_of(defined))
