import subprocess
import sys

import pytest
import torch

from steelyard.compiler.frontend.options import CaptureOptions, parse_dtype
from steelyard.hw.base.errors import UsageError


@pytest.mark.parametrize(
    ("given", "dtype"),
    [("bf16", torch.bfloat16), ("half", torch.float16), ("fp16", torch.float16), ("FP32", torch.float32)],
)
def test_spellings_of_a_dtype(given, dtype):
    assert parse_dtype(given) is dtype
    assert f"torch.{CaptureOptions(dtype=given).dtype}" == str(dtype)
    if dtype == torch.float32:  # autocast has no effect there
        with pytest.raises(UsageError, match="autocast"):
            CaptureOptions(autocast=given)
    else:
        assert f"torch.{CaptureOptions(autocast=given).autocast}" == str(dtype)


@pytest.mark.parametrize("given", ["bfloat15", "int8", "fp8"])
def test_a_dtype_that_no_model_has(given):
    with pytest.raises(UsageError, match=given):
        CaptureOptions(dtype=given)


def test_options_are_checked_without_torch():
    text = "import sys; import steelyard.compiler.frontend.options; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", text], capture_output=True, text=True).stdout == "False\n"
