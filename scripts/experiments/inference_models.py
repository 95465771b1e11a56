"""Four small image classifiers in plain PyTorch; nothing here knows about hwgen.

Images are (n, 1, 8, 8), scores (n, 10). The families are those of ImageNet's best known networks:
K. He et al., *Deep residual learning*, CVPR 2016; G. Huang et al., *Densely connected
convolutional networks*, CVPR 2017; K. Simonyan and A. Zisserman, *Very deep convolutional
networks*, ICLR 2015; and a perceptron of three layers.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["MODELS", "count_multiplications"]

CLASSES = 10


class Residual(nn.Module):
    """Two convolutions, and the block's input added to what they compute."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) to (n, outputs, h / stride, w / stride)."""
        hidden = torch.relu(self.first_norm(self.first(x)))
        return torch.relu(self.second_norm(self.second(hidden)) + self.shortcut(x))


def residual() -> nn.Module:
    """A ResNet of six blocks and 14 layers."""
    blocks = [(12, 12, 1), (12, 12, 1), (12, 24, 2), (24, 24, 1), (24, 48, 2), (48, 48, 1)]
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1, bias=False),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        *(Residual(*block) for block in blocks),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(48, CLASSES),
    )


class Dense(nn.Module):
    """A convolution whose output is appended to its input's channels."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.convolution = nn.Conv2d(inputs, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) to (n, inputs + growth, h, w)."""
        return torch.cat([x, self.convolution(torch.relu(self.norm(x)))], dim=1)


def dense(growth: int = 8, layers: int = 4) -> nn.Module:
    """A DenseNet of three blocks, halved in channels and in size between them."""
    channels = 2 * growth
    parts: list[nn.Module] = [nn.Conv2d(1, channels, 3, padding=1, bias=False)]
    for block in range(3):
        for _ in range(layers):
            parts.append(Dense(channels, growth))
            channels += growth
        parts += [nn.BatchNorm2d(channels), nn.ReLU()]
        if block < 2:
            parts += [nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2)]
            channels //= 2
    return nn.Sequential(
        *parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES)
    )


def vgg() -> nn.Module:
    """A VGG of six layers, with biases and without batch normalisation."""
    parts: list[nn.Module] = []
    channels = 1
    for width in (24, 48):
        for inputs in (channels, width):
            parts += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
        parts.append(nn.MaxPool2d(2))
        channels = width
    return nn.Sequential(
        *parts,
        nn.Flatten(),
        nn.Linear(4 * channels, 64),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(64, CLASSES),
    )


def perceptron() -> nn.Module:
    """Three fully connected layers."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 256),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(256, 128),
        nn.ReLU(),
        nn.Linear(128, CLASSES),
    )


MODELS: dict[str, Callable[[], nn.Module]] = {
    "residual": residual,
    "dense": dense,
    "vgg": vgg,
    "mlp": perceptron,
}


class _Count:
    """Adds up the multiplications of layers as they are called."""

    def __init__(self) -> None:
        self.multiplications = 0

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Count one call: each output is a sum over what one row of the weights holds."""
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        self.multiplications += output.numel() * layer.weight[0].numel()


def count_multiplications(model: nn.Module) -> _Count:
    """Have a model count the multiplications of its convolutions and linear layers.

    Multiplications with the zeros of padding are counted too: they are products like others.
    """
    count = _Count()
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    return count
