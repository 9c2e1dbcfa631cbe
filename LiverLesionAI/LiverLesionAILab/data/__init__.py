"""Readers of public and private data sets by their layout on disk.

Volumes (:mod:`.volumes`: LiTS, MSD Task03, plain folders; :mod:`.ircadb`; :mod:`.chaos`) become
:class:`~.scan.LabelledScan`; DeepLesion's key slices (:mod:`.deeplesion`) become boxes on slices.
:func:`.folders.find_scans` recognises which layout a folder has. Whatever is missing, mismatched or unknown
ends in one message that names the file.
"""
