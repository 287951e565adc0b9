"""Weigh a training step of one's own CNN, with one's own optimizer, before a GPU is rented."""

import argparse

import torch
from torch import nn

import steelyard as sy


class Net(nn.Module):
    """Three convolutions and a classifier."""

    def __init__(self, width: int, classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
        )
        self.classifier = nn.Linear(2 * width, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        return self.classifier(self.features(images).flatten(1))


def main() -> None:
    """Print the table of a training step, and the largest batch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--target", default="t4")
    given = parser.parse_args()

    net = Net(given.width)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    labels = torch.randint(10, (given.batch,))
    images = torch.empty(given.batch, 3, 32, 32)
    weighing = sy.annotate(
        net,
        inputs=images,
        loss=lambda logits: nn.functional.cross_entropy(logits, labels),
        train=True,
        optimizer=optimizer,
        target=given.target,
    )
    print(weighing)
    print(sy.fits(net, inputs=images, train=True, optimizer=optimizer, target=given.target))


if __name__ == "__main__":
    main()
