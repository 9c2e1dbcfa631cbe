"""Vessel trees of synthetic livers whose truth is known: every branch, every territory, every landmark.

:mod:`.habit` says how the vessels of a liver branch, :mod:`.sectors` where each segment's branch is to go,
:mod:`.trunks` lays the large vessels, :mod:`.growth` grows the trees from them, :mod:`.paint` draws them, and
:mod:`.territory` says which segment each voxel belongs to: that of the portal branch that is nearest.
"""
