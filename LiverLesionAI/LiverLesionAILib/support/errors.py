"""Errors whose text is meant for the person at the screen."""


class LiverLesionAIError(Exception):
    """Base of every error this library raises on purpose.

    Its text names the input, says what is wrong with it and what to do; callers show it as it is,
    without a traceback.
    """


class InputError(LiverLesionAIError):
    """An input that cannot be analysed: wrong modality, geometry, content or file."""


class GeometryError(LiverLesionAIError):
    """Two grids that cannot be mapped onto each other by permuting, flipping and scaling axes."""


class ModelError(LiverLesionAIError):
    """Weights that are missing, damaged, or made for another network."""


class OutputError(LiverLesionAIError):
    """Results that cannot be written: no space, no permission."""


class Cancelled(LiverLesionAIError):
    """The user cancelled; nothing is kept."""
