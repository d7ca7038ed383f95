"""YAML as it is written: scalars stay text, no key stands twice, and no document that would eat the process.

The C parser recurses on the C stack without a limit, and an alias costs a few bytes and stands for a whole list: so
nesting and what aliases grow to are bounded before anything is built. Pure.
"""

from __future__ import annotations

from typing import Any

import yaml

DEPTH = 50  # levels; an organisation file has five
NODES = 2_000_000  # values once every alias stands for what it names

_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C parser, where it was built


class _AsWritten(_Loader):  # type: ignore[misc, valid-type]
    """YAML whose scalars stay text: a staff number 0012 is not the octal number ten. Only null is resolved."""


_AsWritten.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in resolvers if tag in ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _mapping(loader: _AsWritten, node: yaml.MappingNode) -> dict[Any, Any]:
    """A mapping in which no key stands twice: the first one would be lost in silence."""
    loader.flatten_mapping(node)
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(None, None, "a key is a list or a mapping", key_node.start_mark)
        key = loader.construct_object(key_node)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", node.start_mark)
        seen.add(key)
    found: dict[Any, Any] = loader.construct_mapping(node, deep=True)
    return found


_AsWritten.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(text: str) -> Any:
    """Return what a YAML (or JSON) text says. Raises yaml.YAMLError, also where it is nested or repeated too much."""
    _check_depth(text)
    loader = _AsWritten(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check_size(node, {}, set())
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):  # event by event: it does not recurse
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEPTH:
                raise yaml.YAMLError(f"nested deeper than {DEPTH} levels, at line {_line(event)}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _line(place: yaml.Node | yaml.Event) -> int | str:
    return place.start_mark.line + 1 if place.start_mark is not None else "?"


def _check_size(node: yaml.Node, sizes: dict[int, int], open_: set[int]) -> int:
    """Return how many values a node stands for with its aliases written out."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    known = sizes.get(id(node))
    if known is not None:
        return known
    if id(node) in open_ or len(open_) > DEPTH:
        raise yaml.YAMLError(f"an alias that contains itself, at line {_line(node)}")
    open_.add(id(node))
    is_map = isinstance(node, yaml.MappingNode)
    members = [value for _, value in node.value] if is_map else node.value
    size = 1 + sum(_check_size(member, sizes, open_) for member in members)
    open_.discard(id(node))
    if size > NODES:
        raise yaml.YAMLError(f"more than {NODES} values once aliases are written out, at line {_line(node)}")
    sizes[id(node)] = size
    return size
