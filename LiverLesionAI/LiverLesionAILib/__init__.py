"""LiverLesionAI: liver lesions in CT by published attention networks. Importable without Slicer."""

__version__ = "0.1.0"
