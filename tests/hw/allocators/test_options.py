import pytest

from steelyard.hw.allocators.choice import make_allocator
from steelyard.hw.allocators.cpu import CpuAllocator
from steelyard.hw.allocators.cuda_caching import CudaCachingAllocator
from steelyard.hw.allocators.cuda_options import CudaOptions
from steelyard.hw.allocators.onnxruntime_arena import ArenaOptions, OnnxRuntimeArena
from steelyard.hw.allocators.options import parse_allocator
from steelyard.hw.base.errors import UsageError
from steelyard.hw.devices.registry import load_device

MIB = 2**20


def test_options_of_both_allocators():
    assert parse_allocator("") is None
    assert parse_allocator("expandable_segments:True, max_split_size_mb:128") == CudaOptions(
        expandable_segments=True, max_split_size_mb=128
    )
    assert parse_allocator("backend:native,pinned_num_register_threads:8") == CudaOptions()
    text = "backend:onnxruntime,arena_extend_strategy:kSameAsRequested"
    assert parse_allocator(text) == ArenaOptions(arena_extend_strategy="kSameAsRequested")


def test_divisions_by_size():
    """The list of PyTorch's own test of its options."""
    options = parse_allocator(
        "roundup_power2_divisions:[64:8,128:2,256:4,512:2,1024:4,>:1],max_split_size_mb:40"
    )
    assert isinstance(options, CudaOptions)
    expected = {32: 8, 64: 8, 128: 2, 256: 4, 512: 2, 1024: 4, 2048: 1, 4096: 1}
    assert {size: options.divisions(size * MIB) for size in expected} == expected
    assert options.divisions(100) == 8
    assert options.max_split_size_mb == 40


def test_sizes_that_are_left_out_have_no_divisions():
    options = parse_allocator("roundup_power2_divisions:[256:4,1024:2]")
    assert isinstance(options, CudaOptions)
    assert [options.divisions(size * MIB) for size in (256, 512, 1024, 2048)] == [4, 0, 2, 0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("expandable_segments:yes", "must be True or False"),
        ("max_split_size_mb:5", "at least large_segment_size_mb"),
        ("max_non_split_rounding_mb:5", "at least large_segment_size_mb"),
        ("roundup_power2_divisions:3", "must be a power of two"),
        ("roundup_power2_divisions:[200:4]", "must be a power of two"),
        ("roundup_power2_divisions:some", "a list such as"),
        ("per_process_memory_fraction:1.5", "in \\(0, 1\\]"),
        ("max_split_size:20", "did you mean 'max_split_size_mb'"),
        ("backend:cudaMallocAsync", "is not modelled"),
        ("backend:onnxruntime,max_split_size_mb:20", "arena of ONNX Runtime has no option"),
        ("backend:onnxruntime,arena_extend_strategy:kDouble", "kNextPowerOfTwo or kSameAsRequested"),
    ],
)
def test_values_that_are_refused(text, says):
    with pytest.raises(UsageError, match=says):
        parse_allocator(text)


def test_a_device_has_its_allocator_unless_the_options_are_of_another():
    gpu, cpu = load_device("t4"), load_device("cpu")
    assert isinstance(make_allocator(gpu), CudaCachingAllocator)
    assert isinstance(make_allocator(cpu), CpuAllocator)
    assert isinstance(make_allocator(cpu, None, ArenaOptions()), OnnxRuntimeArena)
    with pytest.raises(UsageError, match="has no options"):
        make_allocator(cpu, None, CudaOptions())


def test_a_process_may_be_kept_to_a_share_of_the_device():
    device = load_device("t4")  # 16 GiB
    allocator = make_allocator(device, 15 * 1024 * MIB, CudaOptions(per_process_memory_fraction=0.25))
    allocator.malloc(4 * 1024 * MIB)
    with pytest.raises(Exception, match="does not fit"):
        allocator.malloc(1)
