import warnings

import torch

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.compiler.frontend.model import BuiltModel
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.torch.capture import record
from steelyard.compiler.frontend.torch.import_graph import import_program
from steelyard.compiler.pass_infra.totals import read_totals, unknown_ops
from steelyard.passes.annotate.work import annotate_work


def test_the_packed_weight_of_a_quantized_layer_is_an_operand_once():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layer = torch.nn.Linear(8, 8)
        net = torch.ao.quantization.quantize_dynamic(
            torch.nn.Sequential(layer, torch.nn.ReLU(), layer), {torch.nn.Linear}
        )
        net[2] = net[0]
        inputs = {"x": torch.randn(3, 8)}
        program = record(BuiltModel(net, inputs, lambda y: y, num_positional=1), "net", CaptureOptions())
    module = import_program(program)
    weights = [each.spec for each in program.arguments if each.role == "buffer"]
    assert [(each.shape, each.dtype) for each in weights] == [((8, 8), torch.int8)]
    assert sum(isinstance(op, TorchOp) and "linear_dynamic" in str(op) for op in module.walk()) == 2
    annotate_work(Analyses(module))
    assert not unknown_ops(module)
    assert read_totals(module)["work"]["flops"]["contraction"] == 2 * (2 * 3 * 8 * 8)
