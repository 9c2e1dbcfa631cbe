"""A case as DICOM objects.

Segmentation, structured report, encapsulated PDF, and a CT series where the CT had none. Needs `highdicom`
(the extra ``dicom``).
"""
