"""Conditions joined by any depth of `and` and `or`, as a filter tree, whose groups nest one level deep.

What is deeper is multiplied out: `a and (b or (c and d))` is `(a and b) or (a and c and d)`. That can grow without
bound, so both ways to do it (alternatives of which all hold, demands of which any holds) are tried, and what becomes
larger than a tree may be is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from config.errors import MusterError
from engine.filters.filters import MAX_CONDITIONS, MAX_ITEMS, Condition, Group, Subgroup

__all__ = ["Combination", "Junction", "Node", "TooManyConditions", "as_group"]

Combination = Literal["AND", "OR"]


@dataclass(frozen=True, slots=True)
class Junction:
    """All (`AND`) or any (`OR`) of the nodes hold."""

    combination: Combination
    nodes: tuple[Node, ...]


Node = Condition | Junction
_Clause = tuple[Condition, ...]


class TooManyConditions(MusterError, ValueError):
    """It is more than a filter tree holds."""

    def __init__(self) -> None:
        super().__init__(
            f"this is more than a filter holds once its brackets are multiplied out ({MAX_ITEMS} groups of {MAX_ITEMS} "
            f"conditions, {MAX_CONDITIONS:,} altogether); nest less, use `in (…)`, or make several targets of it"
        )


def as_group(node: Node) -> Group:
    """The tree that means the same.

    Raises:
        TooManyConditions: there is none of a size that is allowed.
    """
    flat = _flat(node)
    if isinstance(flat, Condition):
        return Group(items=(flat,))
    if all(isinstance(one, Condition) or _is_plain(one) for one in flat.nodes):
        return _group(flat.combination, [_clause(one) for one in flat.nodes])
    found = []
    for outer in (flat.combination, _other(flat.combination)):
        try:
            found.append(_group(outer, _clauses(flat, outer)))
        except TooManyConditions:
            continue
    if not found:
        raise TooManyConditions
    return min(found, key=_size)


def _flat(node: Node) -> Node:
    """The same without an `and` directly in an `and`, an `or` in an `or`, and junctions of one."""
    if isinstance(node, Condition):
        return node
    nodes: list[Node] = []
    for inner in map(_flat, node.nodes):
        nodes += (
            inner.nodes if isinstance(inner, Junction) and inner.combination == node.combination else [inner]
        )
    unique = tuple(dict.fromkeys(nodes))
    return unique[0] if len(unique) == 1 else Junction(node.combination, unique)


def _is_plain(node: Node) -> bool:
    return isinstance(node, Junction) and all(isinstance(one, Condition) for one in node.nodes)


def _clause(node: Node) -> _Clause:
    if isinstance(node, Condition):
        return (node,)
    return tuple(one for one in node.nodes if isinstance(one, Condition))


def _clauses(node: Node, outer: Combination) -> list[_Clause]:
    """The node as a junction by `outer` of clauses, each of which is joined by the other word."""
    if isinstance(node, Condition):
        return [(node,)]
    found: list[_Clause] = []
    if node.combination == outer:
        for inner in node.nodes:
            found += _clauses(inner, outer)
            _check_size(found)
        return _without_weaker(found)
    found = [()]
    for inner in node.nodes:
        options = _clauses(inner, outer)
        if len(found) * len(options) > MAX_CONDITIONS:
            raise TooManyConditions
        found = _without_weaker(
            [tuple(dict.fromkeys((*left, *right))) for left in found for right in options]
        )
        _check_size(found)
    return found


def _check_size(clauses: list[_Clause]) -> None:
    if sum(map(len, clauses)) > MAX_CONDITIONS:
        raise TooManyConditions


def _without_weaker(clauses: list[_Clause]) -> list[_Clause]:
    """Without clauses that hold another whole clause: `a or (a and b)` is `a`, and `a and (a or b)` as well."""
    kept: list[tuple[frozenset[Condition], _Clause]] = []
    for clause in sorted(dict.fromkeys(clauses), key=len):
        members = frozenset(clause)
        if not any(smaller <= members for smaller, _ in kept):
            kept.append((members, clause))
    order = {clause: index for index, clause in enumerate(clauses)}
    return sorted((clause for _, clause in kept), key=order.__getitem__)


def _group(outer: Combination, clauses: list[_Clause]) -> Group:
    if len(clauses) == 1:
        outer, clauses = _other(outer), [(one,) for one in clauses[0]]
    if len(clauses) > MAX_ITEMS or any(len(clause) > MAX_ITEMS for clause in clauses):
        raise TooManyConditions
    _check_size(clauses)
    return Group(
        items=tuple(
            clause[0] if len(clause) == 1 else Subgroup(items=clause, combination=_other(outer))
            for clause in clauses
        ),
        combination=outer,
    )


def _size(group: Group) -> int:
    return sum(len(item.items) if isinstance(item, Subgroup) else 1 for item in group.items)


def _other(combination: Combination) -> Combination:
    return "OR" if combination == "AND" else "AND"
