import torch

from steelyard.compiler.frontend.adapt.cuda_on_cpu import CudaOnCpu


def test_a_step_without_a_gpu_is_no_longer_watched():
    mode = CudaOnCpu()
    watched = []
    for ask in ("cuda", "cpu", "cpu"):
        with mode.during_step():
            watched.append(torch.overrides._len_torch_function_stack())
            assert torch.ones(2).to(ask).device.type == "cpu"
    assert watched == [1, 1, 0]


def test_a_failed_step_shows_nothing():
    mode = CudaOnCpu()
    try:
        with mode.during_step():
            raise ValueError
    except ValueError:
        pass
    with mode.during_step():
        assert torch.ones(2, device="cuda").device.type == "cpu"


def test_torch_is_as_before_afterwards():
    before = torch.cuda.synchronize, torch.Generator, torch.autocast.__init__
    with CudaOnCpu():
        torch.cuda.synchronize()
        assert isinstance(torch.Generator(device="cuda"), before[1])
    assert before == (torch.cuda.synchronize, torch.Generator, torch.autocast.__init__)


def test_classes_of_torch_cuda_can_be_named_in_annotations():
    with CudaOnCpu():
        assert type(None) in (torch.cuda.Stream | None).__args__
        assert isinstance(torch.cuda.Event, type)
