"""Pages that the operating system supplies in each step on this CPU, predicted beside counted.

    python benchmarks/fresh_pages.py [SPEC ...] [--batch N]

Each step of training and of inference runs ten times, in three processes; the first two of each are not
counted. malloc is as it is: what it gives back and has to ask for anew differs from process to process.
"""

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import fmean

import torch
from cpu_accuracy import fault_bytes

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.frontend.torch.capture import capture
from steelyard.compiler.frontend.torch.import_graph import import_program
from steelyard.compiler.frontend.torch.training_step import build_real, run_step
from steelyard.hw.devices.registry import load_device
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.target import Target
from steelyard.passes.memory.page_faults import fresh_bytes
from steelyard.passes.op_cost.workspace import workspace_of

SPECS = ("gpt2", "bert", "resnet-50", "mobilenet_v2", "vit", "convnext", "swin")
PROCESSES, FIRST_STEPS, STEPS = 3, 2, 8
MIB = 2**20


def counted(spec: str, options: CaptureOptions) -> list[int]:
    """Bytes of new pages in each step."""
    built, optimizer = build_real(load_spec(spec, options), options)
    steps = [fault_bytes(lambda: run_step(built, optimizer, options)) for _ in range(FIRST_STEPS + STEPS)]
    return steps[FIRST_STEPS:]


def predicted(spec: str, options: CaptureOptions) -> float:
    module = import_program(capture(load_spec(spec, options), options))
    annotate(module, Target(device="cpu"))
    return sum(
        fresh_bytes(Analyses(module), workspace_of(load_device("cpu"), torch.get_num_threads())).values()
    )


def lines(specs: list[str], batch: int) -> Iterator[str]:
    for spec in specs:
        for train in (True, False):
            options = CaptureOptions(train=train, batch=batch)
            with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
                expected = pool.submit(predicted, spec, options).result()
                found = [pool.submit(counted, spec, options).result() for _ in range(PROCESSES)]
            steps = [bytes_ / MIB for process in found for bytes_ in process]
            spread = f"{min(steps):.0f} to {max(steps):.0f}"
            yield f"{spec + ' --train' * train:28}{expected / MIB:10.0f}{fmean(steps):10.0f}   {spread}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("specs", nargs="*", metavar="SPEC", default=[f"hf:{name}" for name in SPECS])
    parser.add_argument("--batch", type=int, default=1)
    given = parser.parse_args()
    print(f"{'MiB of new pages a step':28}{'predicted':>10}{'counted':>10}   of single steps")
    for line in lines(given.specs, given.batch):
        print(line, flush=True)


if __name__ == "__main__":
    main()
