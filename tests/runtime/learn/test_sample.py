from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from steelyard.hw.base.errors import UsageError
from steelyard.hw.kernels.registry import KINDS
from steelyard.runtime.learn.kernel_families import KERNEL_FAMILIES, family_named
from steelyard.runtime.learn.sample import SCALE, Sampler
from steelyard.runtime.learn.shapes import shipped_shapes


@given(name=st.sampled_from(sorted(KERNEL_FAMILIES)), seed=st.integers(0, 1000))
@example(name="attention_prefill", seed=678)  # 448 rows beside 1500, which are no multiple
def test_a_neighbour_differs_by_at_most_the_scale_and_can_run(name: str, seed: int) -> None:
    family = KERNEL_FAMILIES[name]
    shapes = shipped_shapes(family)
    sampler = Sampler(family, shapes, Random(seed))
    shape = sampler.random.choice(shapes)
    near = dict(zip(family.sizes, sampler.near(shape), strict=True))
    given_sizes = dict(zip(family.sizes, shape, strict=True))
    scaled = {each for names in family.scaled for each in names}
    for size, old in given_sizes.items():
        if size not in scaled | {family.batch}:
            assert near[size] == old
        elif size != family.batch:
            assert SCALE[0] * old - 1 <= near[size] <= SCALE[1] * old + 1
    assert family.is_possible(tuple(near.values()))


def test_depthwise_stays_depthwise_and_heads_stay_in_proportion() -> None:
    depthwise = KERNEL_FAMILIES["depthwise_conv2d"]
    sampler = Sampler(depthwise, shipped_shapes(depthwise), Random(0))
    for _ in range(50):
        sizes = dict(zip(depthwise.sizes, sampler.from_models(), strict=True))
        assert sizes["c"] == sizes["o"] == sizes["groups"]
    attention = KERNEL_FAMILIES["attention_prefill"]
    sampler = Sampler(attention, [(1, 8, 2, 64, 64, 32, 0)], Random(0))
    for _ in range(20):
        sizes = dict(zip(attention.sizes, sampler.near((1, 8, 2, 64, 64, 32, 0)), strict=True))
        assert sizes["hq"] == 4 * sizes["hkv"]


def test_nothing_is_drawn_twice_until_nothing_is_left() -> None:
    family = KERNEL_FAMILIES["softmax"]
    sampler = Sampler(family, [(1, 1)], Random(0))
    with pytest.raises(UsageError, match="too few different kernels of softmax") as raised:
        for _ in range(100):
            sampler.from_models()
    assert str(len(sampler.drawn)) in (raised.value.why or "")


@pytest.mark.parametrize("name", sorted(KERNEL_FAMILIES))
def test_every_shipped_kernel_can_be_measured(name: str) -> None:
    family = KERNEL_FAMILIES[name]
    shapes = shipped_shapes(family)
    assert len(set(shapes)) == len(shapes) >= 3
    assert all(family.is_possible(shape) for shape in shapes)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("gemm", (1, 5, 7, 3)),
        ("bmm", (2, 5, 7, 3)),
        ("conv2d", (2, 3, 9, 7, 5, 3, 2, 2, 1, 1)),
        ("depthwise_conv2d", (2, 6, 9, 7, 6, 3, 3, 1, 0, 6)),
        ("softmax", (5, 7)),
        ("layer_norm", (5, 7)),
        ("attention_prefill", (2, 4, 4, 6, 6, 8, 0)),
    ],
)
def test_what_runs_does_the_work_that_the_sizes_say(name: str, config: tuple[int, ...]) -> None:
    family = KERNEL_FAMILIES[name]
    work = family.microbenchmark(config).work()
    counts = KINDS[family.kind].model.counts("f32", family.dims([config]))
    assert work.contraction_flops == counts.split(1)[0].contraction_flops


def test_what_does_not_fit_is_not_possible() -> None:
    convolution = KERNEL_FAMILIES["conv2d"]
    assert convolution.is_possible((1, 8, 3, 3, 8, 5, 5, 1, 1, 1))
    assert not convolution.is_possible((1, 8, 3, 3, 8, 7, 7, 1, 1, 1))
    assert not KERNEL_FAMILIES["gemm"].is_possible((1, 2000, 2000, 2000))
    assert not KERNEL_FAMILIES["softmax"].is_possible((2**16, 2**12))


def test_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(UsageError, match="did you mean 'conv2d'"):
        family_named("conv2")
