"""The names that a checkpoint of Ultralytics may hold, each by its exact name.

Nothing here loads a file, fetches anything or evaluates text when it is made or filled. Left
out on purpose: ``DistillationModel`` (loads its teacher by name), ``TorchVision`` (downloads),
``Ensemble``, the text encoders, and whatever takes a function to call.
"""

from __future__ import annotations

_TORCH = {
    "activation": (
        "ELU GELU Hardsigmoid Hardswish Hardtanh LeakyReLU Mish MultiheadAttention PReLU ReLU "
        "ReLU6 SELU SiLU Sigmoid Softmax Softplus Softsign Tanh"
    ),
    "batchnorm": "BatchNorm1d BatchNorm2d SyncBatchNorm",
    "container": "ModuleDict ModuleList ParameterDict ParameterList Sequential",
    "conv": "Conv1d Conv2d ConvTranspose2d",
    "dropout": "Dropout Dropout2d",
    "flatten": "Flatten Unflatten",
    "fold": "Fold Unfold",
    "instancenorm": "InstanceNorm2d",
    "linear": "Bilinear Identity Linear NonDynamicallyQuantizableLinear",
    "loss": "BCELoss BCEWithLogitsLoss CrossEntropyLoss L1Loss MSELoss SmoothL1Loss",
    "normalization": "GroupNorm LayerNorm RMSNorm",
    "padding": "ConstantPad2d ReflectionPad2d ReplicationPad2d ZeroPad2d",
    "pixelshuffle": "PixelShuffle PixelUnshuffle",
    "pooling": "AdaptiveAvgPool2d AdaptiveMaxPool2d AvgPool2d MaxPool2d",
    "sparse": "Embedding",
    "transformer": "TransformerEncoder TransformerEncoderLayer",
    "upsampling": "Upsample UpsamplingBilinear2d UpsamplingNearest2d",
}
_ULTRALYTICS = {
    "activation": "AGLU",
    "block": (
        "A2C2f AAttn ABlock AConv ADown Attention BNContrastiveHead Bottleneck BottleneckCSP C1 C2 "
        "C2PSA C2f C2fAttn C2fCIB C2fPSA C3 C3Ghost C3TR C3f C3k C3k2 C3x CBFuse CBLinear CIB "
        "ContrastiveHead DFL ELAN1 GhostBottleneck HGBlock HGStem ImagePoolingAttn "
        "MaxSigmoidAttnBlock PSA PSABlock Proto Proto26 RealNVP RepBottleneck RepC3 RepCSP "
        "RepNCSPELAN4 RepVGGDW ResNetBlock ResNetLayer Residual SAVPE SCDown SPP SPPELAN SPPF "
        "SwiGLUFFN"
    ),
    "conv": (
        "CBAM ChannelAttention Concat Conv Conv2 ConvTranspose DWConv DWConvTranspose2d Focus "
        "GhostConv Index LightConv RepConv SpatialAttention"
    ),
    "head": (
        "Classify Depth Detect LRPCHead OBB OBB26 Pose Pose26 RTDETRDecoder Segment Segment26 "
        "SemanticSegment WorldDetect YOLOEDetect YOLOESegment YOLOESegment26 v10Detect"
    ),
    "transformer": (
        "AIFI DeformableTransformerDecoder DeformableTransformerDecoderLayer LayerNorm2d MLP "
        "MLPBlock MSDeformAttn TransformerBlock TransformerEncoderLayer TransformerLayer"
    ),
}
_LOSSES = {
    "loss": (
        "BCEDiceLoss BboxLoss DFLoss DepthLoss26 E2EDetectLoss E2ELoss FocalLoss KeypointLoss "
        "MultiChannelDiceLoss PoseLoss26 RLELoss RotatedBboxLoss SegmentLoss26 "
        "SemanticSegmentationLoss TVPDetectLoss TVPSegmentLoss VarifocalLoss v8ClassificationLoss "
        "v8DetectionLoss v8OBBLoss v8PoseLoss v8SegmentationLoss v10DetectLoss"
    ),
    "tal": (
        "PoseTaskAlignedAssigner RotatedTaskAlignedAssigner SegTaskAlignedAssigner "
        "TaskAlignedAssigner"
    ),
}


def _spelled(package: str, table: dict[str, str]) -> dict[str, str]:
    """Return ``{name in the file: name to import}`` for a table of modules and classes."""
    return {
        f"{package}.{module}.{name}": f"{package}.{module}.{name}"
        for module, names in table.items()
        for name in names.split()
    }


_TASKS = "ultralytics.nn.tasks"
MODELS = {
    f"{_TASKS}.ClassificationModel": "classify",
    f"{_TASKS}.DepthModel": "depth",
    f"{_TASKS}.DetectionModel": "detect",
    f"{_TASKS}.OBBModel": "obb",
    f"{_TASKS}.PoseModel": "pose",
    f"{_TASKS}.RTDETRDetectionModel": "detect",
    f"{_TASKS}.SegmentationModel": "segment",
    f"{_TASKS}.SemanticSegmentationModel": "semantic",
    f"{_TASKS}.WorldModel": "detect",
    f"{_TASKS}.YOLOEModel": "detect",
    f"{_TASKS}.YOLOESegModel": "segment",
    f"{_TASKS}.YOLOv10DetectionModel": "detect",
}
"""The classes of whole models, and their tasks."""

_TRANSFORMS = {
    f"torchvision.transforms.transforms.{name}": f"torchvision.transforms.transforms.{name}"
    for name in ("CenterCrop", "Compose", "Normalize", "Resize", "ToTensor")
}
_LAYERS = _spelled("ultralytics.nn.modules", _ULTRALYTICS)
# Releases before 8.0.100 had all layers in one file.
_EARLY = {
    f"ultralytics.nn.modules.{name.rpartition('.')[2]}": name
    for name in _LAYERS
    if ".activation." not in name
}
_RENAMED = {
    f"{_TASKS}.YOLOv10DetectionModel": f"{_TASKS}.DetectionModel",
    "ultralytics.nn.modules.block.Silence": "torch.nn.modules.linear.Identity",
}

CLASSES: dict[str, str] = {
    **_spelled("torch.nn.modules", _TORCH),
    **_LAYERS,
    **_EARLY,
    **{name: name for name in MODELS},
    **_RENAMED,
    **_TRANSFORMS,
}
"""What is built again: the name in the file, and the name of the class in this release."""

NAMESPACES = frozenset(
    {"ultralytics.utils.IterableSimpleNamespace", "ultralytics.yolo.utils.IterableSimpleNamespace"}
)
"""Settings as attributes."""

LOSSES = frozenset(_spelled("ultralytics.utils", _LOSSES))
"""Left behind by training in a model's ``criterion``, which is not taken along."""

STORAGES = {
    f"torch.{kind}Storage": letters
    for kind, letters in {
        "Float": "F32",
        "Double": "F64",
        "Half": "F16",
        "BFloat16": "BF16",
        "Long": "I64",
        "Int": "I32",
        "Short": "I16",
        "Char": "I8",
        "Byte": "U8",
        "Bool": "BOOL",
    }.items()
}
"""Kinds of numbers in a tensor, and what safetensors calls them."""

DTYPES = frozenset(
    f"torch.{name}"
    for name in (
        *("float16", "float32", "float64", "bfloat16"),
        *("int8", "int16", "int32", "int64", "uint8", "bool"),
    )
)
PATHS = frozenset(
    f"{module}.{name}"
    for module in ("pathlib", "pathlib._local")
    for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
)
GETATTR = frozenset({"builtins.getattr", "__builtin__.getattr"})
"""Only ever meant as a layer's own way of computing; see `METHODS`."""
METHODS = frozenset({"forward", "forward_fuse", "forward_split"})
SCALARS = frozenset({"numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"})
INTERPOLATION = "torchvision.transforms.functional.InterpolationMode"

_BUILTINS = (
    *("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list"),
    *("set", "slice", "str", "tuple"),
)
PLAIN = frozenset(
    {
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_parameter_with_state",
        "torch._tensor._rebuild_from_type_v2",
        "torch.Size",
        "torch.device",
        "torch.Tensor",
        "torch.nn.parameter.Parameter",
        "collections.OrderedDict",
        "collections.defaultdict",
        "_codecs.encode",
        "numpy.dtype",
        *SCALARS,
        INTERPOLATION,
        *(f"{module}.{name}" for module in ("builtins", "__builtin__") for name in _BUILTINS),
    }
)
"""What plain data and tensors are made with; each has a meaning in `meaning`."""

_KNOWN = frozenset(CLASSES) | NAMESPACES | LOSSES | frozenset(STORAGES) | DTYPES | PATHS | PLAIN

# What an architecture may name, as Ultralytics' YAML files do.
_BARE = {name.rpartition(".")[2] for name in _LAYERS}
_NN = {f"nn.{name}" for names in _TORCH.values() for name in names.split()}
LAYERS_OF_ARCHITECTURES = frozenset(_BARE | _NN | {"Silence"})
ACTIVATIONS = frozenset(_TORCH["activation"].split()) | {"Identity"}


def is_known(name: str) -> bool:
    """Whether a checkpoint of Ultralytics may hold this name (`getattr` is judged by its use)."""
    return name in _KNOWN
