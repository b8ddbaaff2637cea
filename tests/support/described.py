"""Description of a user's model that exists on paper only."""

from bench.cells.own_model import OwnModel
from bench.results.own_model import DefaultLoss, Description

OWN = OwnModel(name="net.build", source="0", longest=600)
TOLD = Description(
    model=OWN,
    path="/home/me/net.py",
    function="build",
    file="0",
    given="",
    data="noise",
    inputs={"numbers": "float32 (10, 3)", "words": "int32 (10, 2)"},
    outputs={"kind": "int32 (10,)", "amount": "float32 (10, 1)"},
    named=True,
    examples=8,
    evaluated=2,
    parameters=9,
    losses={
        "kind": DefaultLoss("SparseCategoricalCrossentropy", from_logits=True),
        "amount": DefaultLoss("MeanSquaredError"),
    },
    seeds=[0, 1, 2],
)
