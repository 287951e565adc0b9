"""The analyses of a program, each computed once for a version of its IR."""

from functools import cached_property

from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.analysis.call_graph import CallGraph, call_graph
from steelyard.compiler.analysis.liveness import Liveness, Workspace, liveness_of, no_workspace
from steelyard.compiler.analysis.storages import FunctionStorages, find_storages


class Analyses:
    """Call graph, storages and liveness of a module, computed when first asked for and kept.

    Passes that run one after the other on a module share them; who changes the IR calls `invalidate`.

    Args:
        module: A program.
    """

    def __init__(self, module: ModuleOp) -> None:
        self.module = module
        self._liveness: dict[Workspace, Liveness] = {}

    @cached_property
    def call_graph(self) -> CallGraph:
        """The functions that the program reaches.

        Raises:
            IRError: the module is not a program.
        """
        return call_graph(self.module)

    @cached_property
    def storages(self) -> dict[str, FunctionStorages]:
        """The storages of each function, by its name.

        Raises:
            IRError: the module is not a program, or its types cannot be read.
        """
        return find_storages(self.call_graph)

    def liveness(self, workspace: Workspace = no_workspace) -> Liveness:
        """Live bytes at each op and at the peak.

        Args:
            workspace: Bytes that the kernel of an op takes while it runs.

        Raises:
            IRError: the module is not a program, or its types cannot be read.
        """
        if workspace not in self._liveness:
            self._liveness[workspace] = liveness_of(self.call_graph, self.storages, workspace)
        return self._liveness[workspace]

    def invalidate(self) -> None:
        """Forget all of them: the IR has changed."""
        for name in ("call_graph", "storages"):
            self.__dict__.pop(name, None)
        self._liveness.clear()
