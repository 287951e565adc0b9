"""The base of Steelyard's passes, which holds each to its contract."""

from abc import abstractmethod
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.pass_infra.contract import Contract, annotations_of, require
from steelyard.passes.annotate.annotate import renew


@dataclass(frozen=True)
class ProgramPass(Contract, ModulePass):
    """A pass over a program that checks what it requires and leaves no annotation untrue.

    Annotations that the program has and the pass invalidates are made anew, for the same target.
    """

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Run the pass by itself."""
        self.run_on(Analyses(op))

    def run_on(self, program: Analyses) -> None:
        """Run the pass on a program whose analyses it shares.

        Raises:
            IRError: the program lacks an annotation that the pass requires.
        """
        require(program.module, self.requires, self.name)
        self.transform(program)
        if self.rewrites:
            program.invalidate()
        renew(program, self.invalidates)
        assert self.ensures <= annotations_of(program.module), f"{self.name} breaks its contract"

    @abstractmethod
    def transform(self, program: Analyses) -> None:
        """Do the work of the pass."""
