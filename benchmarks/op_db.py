"""Coverage of torch's operator database: `python benchmarks/op_db.py [NAME ...]`.

Each operator of `torch.testing`'s database runs on samples of its own, with real data. It is understood if
the work of every op that reaches a kernel is known. Contractions are compared with torch's counter, where
that has any; it knows no decompositions.
"""

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stderr, suppress
from io import StringIO
from itertools import islice
from typing import Any

import torch
from report import Report, arguments
from torch.testing._internal.common_methods_invocations import op_db
from torch.utils.flop_counter import FlopCounterMode

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.frontend.model import BuiltModel
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.torch.capture import record
from steelyard.compiler.frontend.torch.import_graph import import_program
from steelyard.compiler.pass_infra.totals import read_totals, unknown_ops
from steelyard.passes.annotate.work import annotate_work

SAMPLES = 3
DTYPES = (torch.float32, torch.complex64, torch.int64, torch.bool)


class Operator(torch.nn.Module):
    """One operator on the tensors of a sample."""

    def __init__(self, run: Any) -> None:
        super().__init__()
        self.run = run

    def forward(self, *given: Any) -> Any:
        return self.run(*given)


def samples(entry: Any) -> Iterator[tuple[Operator, tuple[Any, ...]]]:
    dtype = next((each for each in DTYPES if entry.supports_dtype(each, "cpu")), None)
    if dtype is None:
        return
    for sample in islice(entry.sample_inputs("cpu", dtype, requires_grad=False), SAMPLES):
        yield (
            Operator(lambda *given, sample=sample: entry.op(*given, **sample.kwargs)),
            (sample.input, *sample.args),
        )


def weigh(module: Operator, given: tuple[Any, ...]) -> tuple[set[str], int, int]:
    """The names of unknown ops, and the contractions as Steelyard and as torch has them."""
    inputs = {str(at): each for at, each in enumerate(given)}
    built = BuiltModel(module, inputs, lambda result: result, num_positional=len(given))
    program = import_program(record(built, "operator", CaptureOptions()))
    annotate_work(Analyses(program))
    totals: Any = read_totals(program)["work"]
    with FlopCounterMode(display=False) as counter, suppress(Exception):
        module(*given)
    return set(unknown_ops(program)), totals["flops"]["contraction"], counter.get_total_flops()


def main() -> None:
    report = Report(
        "op_db",
        "Operators of torch",
        "Operators of torch's database (`op_db`) whose every kernel has known work, on three samples each.",
        {"operators": "", "count": ","},
    )
    chosen = set(arguments())
    understood, not_run, failed, other_flops = 0, 0, Counter[str](), list[str]()
    missing = Counter[str]()
    entries = [each for each in op_db if not chosen or each.name in chosen]
    for entry in entries:
        unknown, ran = set[str](), False
        try:
            with warnings.catch_warnings(), redirect_stderr(StringIO()):
                warnings.simplefilter("ignore")
                for module, given in samples(entry):
                    names, ours, theirs = weigh(module, given)
                    ran = True
                    unknown |= names
                    if theirs and ours != theirs:
                        other_flops.append(f"{entry.name}: {ours} for {theirs}")
        except Exception as error:
            failed[f"{type(error).__name__}: {str(error).splitlines()[0][:90] if str(error) else ''}"] += 1
            if chosen:
                raise
            continue
        missing.update(unknown)
        understood += ran and not unknown
        not_run += not ran
    report.add("all", len(entries))
    report.add("understood", understood)
    report.add("with an op of unknown work", len(entries) - understood - not_run - failed.total())
    report.add("without a sample in a type that a CPU takes", not_run)
    report.add("that cannot be recorded", failed.total())
    report.add(
        "with other contractions than torch's counter", len({each.partition(":")[0] for each in other_flops})
    )
    for name, count in missing.most_common():
        print(f"unknown in {count}: {name}")
    for why, count in failed.most_common():
        print(f"failed in {count}: {why}")
    for each in other_flops:
        print(f"contractions of {each}")
    report.finish(f"{understood / len(entries):.1%} of {len(entries)}", "95%")


if __name__ == "__main__":
    main()
