import pytest

from steelyard.hw.base.errors import UsageError
from steelyard.runtime.cli.main import app


@pytest.mark.parametrize("flags", [["--device", "t4", "--device", "l4"], ["--bs", "1", "--batch", "2"]])
def test_an_option_given_twice_is_refused(flags):
    with pytest.raises(UsageError, match="is given 2 times"):
        app(["annotate", "hf:gpt2", *flags])
