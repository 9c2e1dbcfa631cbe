"""The laboratory: synthesis, training, evaluation and comparisons; not installed in Slicer."""

from LiverLesionAILib.models.weights import add_networks

add_networks("LiverLesionAILab.training.baselines")
