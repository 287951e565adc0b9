"""The peak where the scratch of kernels is not known."""

from pathlib import Path

import pytest

import steelyard.hw.devices.registry as registry
from steelyard.compiler.ir.text import parse_program
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.target import Target

CONVOLUTION = """
func.func @forward(%x: tensor<2x20x32x32xf32> {program.role = "input", program.path = "x"},
                   %w: tensor<40x20x3x3xf32> {program.role = "parameter", program.path = "w"})
    -> tensor<2x40x32x32xf32> {
  %y = aten.convolution(%x, %w, stride = [1, 1], padding = [1, 1], dilation = [1, 1],
                        transposed = false, output_padding = [0, 0], groups = 1) : tensor<2x40x32x32xf32>
  func.return %y : tensor<2x40x32x32xf32>
}
"""


@pytest.fixture
def memory_under(tmp_path: Path):
    def peak(instruction_set: str):
        text = next(Path(registry.__file__).parent.rglob("cpu.toml")).read_text()
        file = tmp_path / f"{instruction_set}.toml"
        file.write_text(text.replace('instruction_set = "avx2"', f'instruction_set = "{instruction_set}"'))
        module = parse_program(CONVOLUTION)
        annotate(module, Target(device=str(file), threads=2))
        return read_totals(module)["memory"]

    return peak


def test_a_peak_of_unknown_scratch_is_an_interval_over_the_measured_instruction_sets(memory_under):
    peaks = [memory_under(each)["peak_bytes"] for each in ("avx2", "avx512")]
    unknown = memory_under("sse41")
    assert (unknown["peak_low_bytes"], unknown["peak_bytes"]) == (min(peaks), max(peaks))
    assert min(peaks) < max(peaks)


@pytest.mark.parametrize("instruction_set", ["avx2", "avx512"])
def test_a_peak_of_known_scratch_is_one_number(memory_under, instruction_set):
    assert "peak_low_bytes" not in memory_under(instruction_set)
