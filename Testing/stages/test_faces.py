"""Networks are asked by their faces only: the table of families is whole, and nobody else knows a network."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import Manifest, ModelEntry
from LiverLesionAILib.stages.faces import OF_NETWORK, OF_TASK, can_attend, family_of
from LiverLesionAILib.support.errors import ModelError

LIBRARY = Path(__file__).resolve().parents[2] / "LiverLesionAI" / "LiverLesionAILib"
FACES = {
    "locate": ("probability",),
    "neighbour": ("probability",),
    "vessels": ("spacing_zyx_mm", "vessels"),
    "trees": ("hepatic_log_odds",),
    "segment": ("probabilities",),
    "detect": ("input", "boxes", "explain"),
    "classify": ("classes",),
    "click": ("outline",),
}
ROOMS = {"neighbour": "neighbours", "vessels": "anatomy", "trees": "anatomy", "click": "detect"}
FAMILIES = {"stages/faces.py", *(f"stages/{ROOMS.get(task, task)}/families.py" for task in FACES)}


def entry(task: str, network: str = "new") -> ModelEntry:
    return ModelEntry("model", task, network, {}, InputSpec((1.0, 1.0, 1.0), (0.0, 1.0), 1), "", "")


@pytest.mark.parametrize("model", Manifest.read().entries, ids=lambda model: model.name)
def test_every_bundled_model_has_the_face_of_its_task(model: ModelEntry) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    family = family_of(model).load()
    assert all(hasattr(family, name) for name in (*FACES[model.task], "opened"))
    assert hasattr(family, "attend") == can_attend(model)


@pytest.mark.parametrize("task", FACES)
def test_a_network_nobody_has_heard_of_is_of_its_tasks_plain_family(task: str) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    assert family_of(entry(task)) is OF_TASK[task]
    assert all(hasattr(family_of(entry(task)).load(), name) for name in FACES[task])
    assert not can_attend(entry(task))


def test_a_task_that_does_not_exist_is_told() -> None:
    with pytest.raises(ModelError, match=r"no such task.*locate, segment, .*detect, classify"):
        family_of(entry("translate"))


def test_only_what_relates_positions_can_attend() -> None:
    assert can_attend(entry("segment", "mscd"))
    assert not can_attend(replace(entry("segment", "mscd"), config={"spatial": False}))


def network_classes() -> set[str]:
    return {
        node.name
        for path in (LIBRARY / "networks").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    }


def asks(node: ast.AST, classes: set[str]) -> bool:
    """Whether code asks for a network by its name or its class."""
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        named = any(isinstance(one, ast.Attribute) and one.attr == "network" for one in sides)
        texts = {one.value for side in sides for one in ast.walk(side) if isinstance(one, ast.Constant)}
        return named and bool(texts & set(OF_NETWORK))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
        return bool({one.id for one in ast.walk(node.args[1]) if isinstance(one, ast.Name)} & classes)
    return False


def test_nobody_else_asks_for_a_network_by_name_or_class() -> None:
    classes = network_classes()
    wrong = []
    for path in sorted(LIBRARY.rglob("*.py")):
        where = path.relative_to(LIBRARY).as_posix()
        if where.startswith("networks/") or where in FAMILIES:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if asks(node, classes):
                wrong.append(f"{where}:{node.lineno} {ast.unparse(node)}")
    assert wrong == []


def test_the_question_is_recognised() -> None:
    """What was in the pipeline once would be found."""
    for text in ('member.network == "va_mask_rcnn"', 'entry.network in ("mscd",)', "isinstance(net, VaRcnn)"):
        assert asks(ast.parse(text, mode="eval").body, {"VaRcnn"}), text
    assert not asks(ast.parse('entry.task == "segment"', mode="eval").body, {"VaRcnn"})
