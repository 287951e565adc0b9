"""Model types of transformers: a few here, all of them in parts by the slow tests."""

import pytest
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers_types import apart, spec_of, weigh

PARTS = 32


def test_two_layers_in_each_part():
    assert spec_of("clip") == "hf:clip?text_config.num_hidden_layers=2&vision_config.num_hidden_layers=2"


@pytest.mark.parametrize("model_type", ["dinov3_vit", "patchtst"])
def test_a_type_without_a_known_loss_is_understood(model_type):
    assert weigh(model_type, train=True) == "understood"


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_nearly_all_types_are_understood(part):
    types = sorted(CONFIG_MAPPING)[part::PARTS]
    understood = [each for each in types if apart(each, False) == apart(each, True) == "understood"]
    assert len(understood) >= 0.5 * len(types)
