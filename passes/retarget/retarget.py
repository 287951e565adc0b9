"""The pass retarget: replace kernels of the capture's device by those torch dispatches on another."""

from dataclasses import dataclass

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.hw.devices.registry import load_device
from steelyard.passes.annotate.program_pass import ProgramPass
from steelyard.passes.retarget.attention import retarget_attention
from steelyard.passes.retarget.cpu_kernels import note_cpu_kernels
from steelyard.passes.retarget.dropout import fuse_dropout


@dataclass(frozen=True)
class RetargetPass(ProgramPass):
    """Put the kernels that eager torch takes on a device in the place of those that a program has.

    Programs are captured on a CPU. On an NVIDIA GPU, scaled dot product attention is another kernel with
    other results (flash in half precision, memory-efficient otherwise), and dropout is one kernel with a mask
    of bytes where the CPU has four ops and a mask of numbers. Kernels of CPUs that stay, such as oneDNN's of
    recurrent networks, are named in the program's assumptions. For a CPU, attention gets the CPU's kernel
    back; on other devices all stays. To be run before outline. Annotations are made anew for the target that
    the program has.

        %o, %l = aten._scaled_dot_product_flash_attention_for_cpu(%q, %k, %v) : ...

    becomes, with device=h100-sxm and half precision,

        %o, %l, ... = aten._scaled_dot_product_flash_attention(%q, %k, %v) : ...

    Raises:
        DeviceError: the device is not known.
    """

    name = "retarget"
    invalidates = frozenset({"work", "memory", "latency"})
    rewrites = True

    device: str
    """Name of a device, or path of its file."""

    def transform(self, program: Analyses) -> None:
        """Rewrite the functions of a module."""
        device = load_device(self.device)
        if not device.is_cuda and device.kind != "cpu":
            return
        for function in program.call_graph.functions.values():
            retarget_attention(function.body.block, device)
            if device.is_cuda:
                fuse_dropout(function.body.block)
        if device.is_cuda:
            note_cpu_kernels(program.module)
