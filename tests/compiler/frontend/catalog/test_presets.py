import pytest

from steelyard.compiler.frontend.catalog.presets import presets
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.frontend.torch.torch_private import FakeTensorMode


@pytest.mark.parametrize("name", presets())
def test_a_preset_has_the_published_number_of_parameters(name):
    with FakeTensorMode():
        built = load_spec(name, CaptureOptions()).build(fake=True)
    assert sum(each.numel() for each in built.module.parameters()) == presets()[name].parameters
