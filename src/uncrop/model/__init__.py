"""The frozen types that a picture passes through, one per station.

``UncropRequest`` → (intake) → ``Job`` → (admission) → ``Grant`` → (provider) → ``Fill`` → (finish) → ``Picture`` →
(encode) → ``UncropResult``. Pixels are arrays of shape (row, column, channel), RGB order, ``uint8`` or ``uint16``;
1 channel is grey, 2 grey + alpha, 3 RGB, 4 RGBA. In a mask ``True`` means "to be made".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uncrop.model.answers import Answer
from uncrop.model.callers import DEFAULT_SCOPES, SCOPES, SERVERS, Caller, ProviderKeys, Scope
from uncrop.model.pictures import (
    MEDIA_TYPES,
    Density,
    ImageFormat,
    ImageHeader,
    JpegFacts,
    Metadata,
    OpenedFile,
    Progress,
    Quality,
)
from uncrop.model.plans import CallPlan, Plan
from uncrop.model.policies import Policy
from uncrop.model.provider_facts import (
    FieldFacts,
    GeometryFacts,
    Price,
    ProviderFacts,
    SettingFacts,
    TokenPrice,
    UploadFacts,
)
from uncrop.model.requests import (
    MAX_ORGANIZATION_ID,
    ORGANIZATION_ID,
    ORGANIZATION_ID_RULE,
    Options,
    UncropRequest,
    form_values,
)
from uncrop.model.shapes import Frame, Placement, Rect, Sides
from uncrop.model.stages import (
    ENLARGED,
    Detail,
    Fill,
    Grant,
    Job,
    Picture,
    PictureFacts,
    StageTime,
    Task,
    TokenUsage,
    UncropResult,
    Variations,
)

if TYPE_CHECKING:
    from uncrop.model.pictures import ConfidenceMap, Mask, Pixels

__all__ = [
    "DEFAULT_SCOPES",
    "ENLARGED",
    "MAX_ORGANIZATION_ID",
    "MEDIA_TYPES",
    "ORGANIZATION_ID",
    "ORGANIZATION_ID_RULE",
    "SCOPES",
    "SERVERS",
    "Answer",
    "CallPlan",
    "Caller",
    "ConfidenceMap",
    "Density",
    "Detail",
    "FieldFacts",
    "Fill",
    "Frame",
    "GeometryFacts",
    "Grant",
    "ImageFormat",
    "ImageHeader",
    "Job",
    "JpegFacts",
    "Mask",
    "Metadata",
    "OpenedFile",
    "Options",
    "Picture",
    "PictureFacts",
    "Pixels",
    "Placement",
    "Plan",
    "Policy",
    "Price",
    "Progress",
    "ProviderFacts",
    "ProviderKeys",
    "Quality",
    "Rect",
    "Scope",
    "SettingFacts",
    "Sides",
    "StageTime",
    "Task",
    "TokenPrice",
    "TokenUsage",
    "UncropRequest",
    "UncropResult",
    "UploadFacts",
    "Variations",
    "form_values",
]
