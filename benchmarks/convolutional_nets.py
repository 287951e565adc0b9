"""VGG and ResNet as Keras has them: biases in every convolution, strides in the first one of a block."""

# pyright: standard

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

VGG = {"VGG11": (1, 1, 2, 2, 2), "VGG13": (2, 2, 2, 2, 2), "VGG16": (2, 2, 3, 3, 3), "VGG19": (2, 2, 4, 4, 4)}
RESNET = {"ResNet18": (2, 2, 2, 2), "ResNet34": (3, 4, 6, 3), "ResNet50": (3, 4, 6, 3)}
CLASSES = 1000
BOTTLENECK = 4


class Block(nn.Module):
    """Two convolutions of 3 x 3, or a bottleneck of three, and what went in."""

    def __init__(self, channels: int, inner: int, widening: int, stride: int) -> None:
        super().__init__()
        out = inner * widening
        steps = [(channels, inner, 3, stride), (inner, out, 3, 1)]
        if widening > 1:
            steps = [(channels, inner, 1, stride), (inner, inner, 3, 1), (inner, out, 1, 1)]
        body = [part for step in steps for part in (*normalized(*step), nn.ReLU())]
        self.body = nn.Sequential(*body[:-1])
        same = stride == 1 and channels == out
        self.shortcut = nn.Identity() if same else nn.Sequential(*normalized(channels, out, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        """Map [n, channels, h, w] to [n, inner * widening, h / stride, w / stride]."""
        return torch.relu(self.body(x) + self.shortcut(x))


def normalized(channels: int, out: int, window: int, stride: int) -> tuple[nn.Module, nn.Module]:
    """Return a convolution that keeps the size but for its stride, and its batch norm."""
    return nn.Conv2d(channels, out, window, stride, window // 2), nn.BatchNorm2d(out)


def resnet(depths: tuple[int, ...], widening: int) -> nn.Module:
    layers = [*normalized(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for stage, depth in enumerate(depths):
        for index in range(depth):
            layers.append(Block(channels, 64 * 2**stage, widening, 2 if stage and not index else 1))
            channels = 64 * 2**stage * widening
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES))


def vgg(depths: tuple[int, ...], image_size: int) -> nn.Module:
    layers: list[nn.Module] = []
    channels = 3
    for depth, width in zip(depths, (64, 128, 256, 512, 512), strict=True):
        for _ in range(depth):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2))
    sizes = (512 * (image_size // 32) ** 2, 4096, 4096)
    for size, wider in pairwise(sizes):
        layers += [nn.Flatten(), nn.Linear(size, wider), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], CLASSES))


def make(
    name: str, image_size: int, batch: int
) -> Callable[[], tuple[nn.Module, Tensor, Callable[..., Tensor]]]:
    """Return what makes a net, random images and a loss."""

    def made() -> tuple[nn.Module, Tensor, Callable[..., Tensor]]:
        widening = BOTTLENECK if name == "ResNet50" else 1
        net = vgg(VGG[name], image_size) if name in VGG else resnet(RESNET[name], widening)
        images, labels = torch.randn(batch, 3, image_size, image_size), torch.randint(0, CLASSES, (batch,))
        return net, images, lambda scores: nn.functional.cross_entropy(scores, labels)

    return made
