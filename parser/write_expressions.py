"""Expressions as SQL. No parentheses but those that are needed, or that help where parsers disagree."""

from __future__ import annotations

import re

from headwater.parser import syntax
from headwater.parser.quoting import quote, quote_function
from headwater.parser.writing import clause, in_parentheses, list_clause, listed, optional, string, unparse, when, words

# How tightly operators bind, as in grammar.lark. Higher is tighter.
_OR, _AND, _NOT, _TEST, _COMPARISON, _PREDICATE, _OTHER, _SUM, _PRODUCT, _POWER, _SIGN, _PRIMARY = range(12)
_LEVELS = {
    "OR": _OR, "AND": _AND,
    "IS DISTINCT FROM": _TEST, "IS NOT DISTINCT FROM": _TEST,
    "=": _COMPARISON, "<>": _COMPARISON, "<": _COMPARISON, "<=": _COMPARISON, ">": _COMPARISON, ">=": _COMPARISON,
    "||": _OTHER, "->": _OTHER, "->>": _OTHER, "&": _OTHER, "|": _OTHER, "<<": _OTHER, ">>": _OTHER,
    "+": _SUM, "-": _SUM,
    "*": _PRODUCT, "/": _PRODUCT, "//": _PRODUCT, "%": _PRODUCT,
    "^": _POWER,
}  # fmt: skip

_STARTS_WITH_WORD = re.compile(r"[^\W\d]|[\"`]")
_LAMBDA_FUNCTION = re.compile(r"(list_|array_)?(transform|filter|reduce|apply)", re.IGNORECASE)

# What [ ], and :: in front of it, may follow without parentheses.
_TIGHT = (syntax.Name, syntax.Subscript, syntax.Slice, syntax.Array, syntax.Struct, syntax.Map, syntax.Cast)


def _level(node: syntax.Expression) -> int:
    match node:
        case syntax.Binary(operator=operator):
            return _LEVELS[operator]
        case syntax.Unary(operator="NOT"):
            return _NOT
        case syntax.Unary(operator="-" | "+" | "~"):
            return _SIGN
        case syntax.Unary():
            return _TEST
        case syntax.Quantified():
            return _COMPARISON
        case syntax.Between() | syntax.In() | syntax.Like():
            return _PREDICATE
        case syntax.Lambda() | syntax.NamedArgument():
            return _OR
        case _:
            return _PRIMARY


def _operand(node: syntax.Expression, level: int) -> str:
    """`node` as an operand of something that binds so tightly that it takes what has at least `level`."""
    return unparse(node) if _level(node) >= level else f"({unparse(node)})"


def _tight(node: syntax.Expression) -> str:
    """`node` in front of a [ ]."""
    plain = isinstance(node, syntax.Call) and not (node.filter or node.over or node.within_group)
    return unparse(node) if plain or isinstance(node, _TIGHT) else f"({unparse(node)})"


# ---------------------------------------------------------------- names and constants


@unparse.register
def _identifier(node: syntax.Identifier) -> str:
    return quote(node)


@unparse.register
def _name(node: syntax.Name) -> str:
    return ".".join(map(quote, node.parts))


@unparse.register
def _literal(node: syntax.Literal) -> str:
    return string(node.text) if node.kind == "string" else node.text.upper() if node.kind != "number" else node.text


@unparse.register
def _placeholder(node: syntax.Placeholder) -> str:
    return "?" if node.name is None else f"${node.name}"


@unparse.register
def _interval(node: syntax.Interval) -> str:
    amount = unparse(node.amount)
    bare = isinstance(node.amount, syntax.Literal) and amount[0] in "'0123456789"
    return words("INTERVAL", amount if bare else f"({amount})", node.unit)


@unparse.register
def _star(node: syntax.Star) -> str:
    return words(
        f"{quote(node.relation)}.*" if node.relation else "*",
        in_parentheses(node.exclude, "EXCLUDE"),
        in_parentheses(node.replace, "REPLACE"),
    )


@unparse.register
def _all(node: syntax.All) -> str:
    return "ALL"


# ---------------------------------------------------------------- operators


@unparse.register
def _unary(node: syntax.Unary) -> str:
    if node.operator == "NOT":
        return f"NOT {_operand(node.operand, _COMPARISON)}"
    if node.operator in "+-~":
        return f"{node.operator}{_operand(node.operand, _PRIMARY)}"
    return f"{_operand(node.operand, _SUM)} {node.operator}"


@unparse.register
def _binary(node: syntax.Binary) -> str:
    level = _LEVELS[node.operator]
    if level in (_OR, _AND, _SUM, _PRODUCT):
        left, right = level, level + 1
    elif level <= _PREDICATE:
        left = right = _SUM
    else:
        # Parsers differ in how these bind among each other: only a chain of the same one goes without parentheses.
        chained = isinstance(node.left, syntax.Binary) and node.left.operator == node.operator
        left, right = level if chained else _PRIMARY, _PRIMARY
    first, second = _operand(node.left, left), _operand(node.right, right)
    if node.operator == "->":
        # A word after it would be a field, a row before it the parameters of a function.
        first = f"({first})" if isinstance(node.left, syntax.Row) else first
        second = f"({second})" if _STARTS_WITH_WORD.match(second) else second
    return f"{first} {node.operator} {second}"


@unparse.register
def _like(node: syntax.Like) -> str:
    escape = None if node.escape is None else f"ESCAPE {_operand(node.escape, _SUM)}"
    return words(_operand(node.operand, _SUM), node.operator, _operand(node.pattern, _SUM), escape)


@unparse.register
def _between(node: syntax.Between) -> str:
    operand, low, high = (_operand(part, _SUM) for part in (node.operand, node.low, node.high))
    return f"{operand} {'NOT ' if node.negated else ''}BETWEEN {low} AND {high}"


@unparse.register
def _in(node: syntax.In) -> str:
    match node.choices:
        case (syntax.Subquery() as subquery,):
            choices = unparse(subquery)
        case choices_:
            choices = f"({listed(choices_)})"
    return f"{_operand(node.operand, _SUM)} {'NOT ' if node.negated else ''}IN {choices}"


@unparse.register
def _quantified(node: syntax.Quantified) -> str:
    values = unparse(node.values) if isinstance(node.values, syntax.Subquery) else f"({unparse(node.values)})"
    return f"{_operand(node.operand, _SUM)} {node.operator} {node.quantifier} {values}"


@unparse.register
def _case(node: syntax.Case) -> str:
    branches = " ".join(f"WHEN {unparse(condition)} THEN {unparse(result)}" for condition, result in node.branches)
    return words("CASE", optional(node.operand), branches, clause("ELSE", node.otherwise), "END")


@unparse.register
def _cast(node: syntax.Cast) -> str:
    return f"{'TRY_CAST' if node.is_try else 'CAST'}({unparse(node.operand)} AS {node.type})"


# ---------------------------------------------------------------- calls


@unparse.register
def _call(node: syntax.Call) -> str:
    write = _with_lambdas if _LAMBDA_FUNCTION.fullmatch(node.name) else listed
    arguments = words(
        when(node.distinct, "DISTINCT"),
        write(node.arguments),
        list_clause("ORDER BY", node.order_by),
        when(node.nulls, f"{node.nulls} NULLS"),
    )
    over = f"({unparse(node.over)})" if isinstance(node.over, syntax.WindowSpec) else optional(node.over)
    return words(
        f"{quote_function(node.name)}({arguments})",
        when(node.within_group, f"WITHIN GROUP (ORDER BY {listed(node.within_group)})"),
        None if node.filter is None else f"FILTER (WHERE {unparse(node.filter)})",
        over and f"OVER {over}",
    )


def _with_lambdas(arguments: tuple[syntax.Expression, ...]) -> str:
    """Arguments where a JSON operator after a name would be a function of one parameter."""
    texts = []
    for argument in arguments:
        is_json = isinstance(argument, syntax.Binary) and argument.operator == "->"
        texts.append(f"({unparse(argument)})" if is_json else unparse(argument))
    return ", ".join(texts)


@unparse.register
def _named_argument(node: syntax.NamedArgument) -> str:
    return f"{quote(node.name)} := {unparse(node.value)}"


@unparse.register
def _lambda(node: syntax.Lambda) -> str:
    return f"LAMBDA {listed(node.parameters)}: {unparse(node.body)}"


@unparse.register
def _order_item(node: syntax.OrderItem) -> str:
    direction = None if node.direction == "ASC" else node.direction
    return words(unparse(node.expression), direction, node.nulls and f"NULLS {node.nulls}")


@unparse.register
def _window_spec(node: syntax.WindowSpec) -> str:
    return words(
        optional(node.base),
        list_clause("PARTITION BY", node.partition_by),
        list_clause("ORDER BY", node.order_by),
        optional(node.frame),
    )


@unparse.register
def _frame(node: syntax.Frame) -> str:
    bounds = unparse(node.start) if node.end is None else f"BETWEEN {unparse(node.start)} AND {unparse(node.end)}"
    return words(node.unit, bounds, node.exclude and f"EXCLUDE {node.exclude}")


@unparse.register
def _bound(node: syntax.Bound) -> str:
    if node.side == "CURRENT ROW":
        return node.side
    return f"UNBOUNDED {node.side}" if node.distance is None else f"{_operand(node.distance, _SUM)} {node.side}"


# ---------------------------------------------------------------- arrays, structs, maps and queries


@unparse.register
def _array(node: syntax.Array) -> str:
    return f"[{listed(node.items)}]"


@unparse.register
def _struct(node: syntax.Struct) -> str:
    return "{" + ", ".join(f"{string(name)}: {unparse(value)}" for name, value in node.fields) + "}"


@unparse.register
def _map(node: syntax.Map) -> str:
    return "MAP {" + ", ".join(f"{unparse(key)}: {unparse(value)}" for key, value in node.entries) + "}"


@unparse.register
def _row(node: syntax.Row) -> str:
    return f"({listed(node.items)})"


@unparse.register
def _subscript(node: syntax.Subscript) -> str:
    return f"{_tight(node.operand)}[{unparse(node.index)}]"


@unparse.register
def _slice(node: syntax.Slice) -> str:
    return f"{_tight(node.operand)}[{optional(node.start) or ''}:{optional(node.end) or ''}]"


@unparse.register
def _field(node: syntax.Field) -> str:
    return f"({unparse(node.operand)}).{quote(node.name)}"


@unparse.register
def _subquery(node: syntax.Subquery) -> str:
    return f"({unparse(node.query)})"


@unparse.register
def _array_query(node: syntax.ArrayQuery) -> str:
    return f"ARRAY({unparse(node.query)})"


@unparse.register
def _exists(node: syntax.Exists) -> str:
    return f"EXISTS ({unparse(node.query)})"


@unparse.register
def _grouping(node: syntax.Grouping) -> str:
    return f"{node.kind} ({listed(node.items)})"


@unparse.register
def _select_item(node: syntax.SelectItem) -> str:
    return words(unparse(node.expression), clause("AS", node.alias))
