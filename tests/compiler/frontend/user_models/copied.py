"""Models of deep-copied layers, with the fused inference path of torch's own encoder."""

import copy

import torch
from torch import nn


class Teacher(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.student = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8))
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)

    def forward(self, x):
        with torch.no_grad():
            for theirs, ours in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
                theirs.mul_(0.9).add_(ours.detach(), alpha=0.1)
            target = self.teacher(x)
        return (self.student(x) - target).square().mean()


def teacher():
    return Teacher(), torch.randn(4, 8)


def transformer():
    net = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
    return net, (torch.randn(2, 5, 8), torch.randn(2, 3, 8))


def padded_encoder():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    mask = torch.zeros(2, 5, dtype=torch.bool)
    mask[1, 3:] = True
    return nn.TransformerEncoder(layer, 2), {"src": torch.randn(2, 5, 8), "src_key_padding_mask": mask}
