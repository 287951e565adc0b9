"""The module tree of a model with the figures of each module, alike siblings folded into one."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from steelyard.passes.annotate.latency import WAITS
from steelyard.runtime.report.summary import Figures, Summary

_OUTSIDE = {
    "optimizer": ["(optimizer)"],
    "loss": ["(loss)"],
    **{f"({each})": [f"({each})"] for each in WAITS},
}
"""Paths of rows outside of all modules, by phase."""

_OWN = ["(own ops)"]
"""Path of what the model does itself, so that rows add up."""


@dataclass(slots=True)
class Node:
    """A module: its figures with those of the modules inside it, these by name, and its output's shape."""

    name: str
    figures: Figures = field(default_factory=Figures)
    children: dict[str, "Node"] = field(default_factory=dict[str, "Node"])
    output: str = ""

    def add(self, path: list[str], figures: Figures) -> None:
        """Add to this module and to those on the way to `path`."""
        node = self
        node.figures += figures
        for name in path:
            node = node.children.setdefault(name, Node(name))
            node.figures += figures

    def folded(self) -> "Node":
        """The tree with runs of numbered siblings that hold and cost alike as one: `0-11 (12 alike)`."""
        runs: list[list[Node]] = []
        for child in self.children.values():
            if runs and _alike(runs[-1][-1], child):
                runs[-1].append(child)
            else:
                runs.append([child])
        merged = [_merge(run).folded() for run in runs]
        return Node(self.name, self.figures, {node.name: node for node in merged}, self.output)


def module_tree(summary: Summary) -> Node:
    """The figures by module; what is outside of all modules is the loss, the optimizer or a wait."""
    root = Node("(model)")
    for path, count in summary.parameters:
        root.add(path.split(".")[:-1], Figures(params=count))
    for row in summary.rows:
        outside = _OUTSIDE.get(row.phase, _OWN)
        root.add(row.path.split(".") if row.path else outside, row.figures)
    _set_outputs(root, "", summary.outputs)
    return root


def _set_outputs(node: Node, path: str, outputs: Mapping[str, str]) -> None:
    node.output = outputs.get(path, "")
    for name, child in node.children.items():
        _set_outputs(child, f"{path}.{name}" if path else name, outputs)


def _alike(left: Node, right: Node) -> bool:
    return (
        left.name.isdecimal()
        and right.name.isdecimal()
        and left.figures.params == right.figures.params
        and left.figures.flops == right.figures.flops
        and left.children.keys() == right.children.keys()
    )


def _merge(run: list[Node]) -> Node:
    if len(run) == 1:
        return run[0]
    merged = Node(f"{run[0].name}-{run[-1].name} ({len(run)} alike)", output=run[0].output)
    for node in run:
        _absorb(merged, node)
    return merged


def _absorb(into: Node, node: Node) -> None:
    into.figures += node.figures
    for name, child in node.children.items():
        _absorb(into.children.setdefault(name, Node(name, output=child.output)), child)
