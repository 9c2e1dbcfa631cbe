"""Where landmarks usually lie in a liver, and how sectors usually open about the vena cava.

Places are shares of the liver's box (from right to left, front to back, bottom to top); they and the spreads
beside them were read from atlases and agree with the bodies of the training part of SynthLiver-anatomy.
"""

from __future__ import annotations

from ...case.anatomy import LandmarkName as Name

BOX_SHARE: dict[str, tuple[float, float, float]] = {
    Name.IVC_HIGH: (0.53, 0.55, 0.92),
    Name.IVC_LOW: (0.50, 0.62, 0.48),
    Name.BIFURCATION: (0.44, 0.44, 0.49),
    Name.GALLBLADDER: (0.38, 0.25, 0.27),
}
"""x, y, z of those that are found without another one's help."""

SPREAD_MM: dict[str, float] = {
    Name.IVC_HIGH: 14.0,
    Name.IVC_LOW: 14.0,
    Name.BIFURCATION: 10.0,
    Name.GALLBLADDER: 20.0,
}
"""One standard deviation of those."""

FROM_IVC_MM = (-10.0, -30.0)
"""Of the IVC's middle to the portal bifurcation: x, y at its height."""
FROM_SPINE_MM = (-23.0, -50.0)
"""Of the middle of the spine to that of the IVC: x, y."""
IVC_SPREAD_MM = (11.0, 17.0)
"""One standard deviation of that."""

BELOW_DOME_MM = 76.0
"""Of the liver's highest point to the height of the portal bifurcation."""

UMBILICAL_MM = (30.0, -22.0, 15.0)
"""Of the portal bifurcation to the middle of the umbilical portion."""
UMBILICAL_SPREAD_MM = (13.0, 11.0, 10.0)
UMBILICAL_HALF_MM = (2.0, -13.0, 2.0)
"""Of that middle to the end of the umbilical portion; the bend lies as far the other way."""
FISSURE_MM = ((6.0, 75.0), (-85.0, -8.0), (-35.0, 30.0))
"""Of the portal bifurcation to a gap in the liver that can be the umbilical fissure: x, y, z from and to."""
FISSURE_APART_MM = 12.0
"""A gap farther from where the umbilical portion is seen, or usually lies, may be another notch."""
FISSURE_VOXELS, CLEAR_FISSURE_VOXELS = 60, 240
"""Of 2 mm that such a gap has at least, and from which on nothing doubts it."""
RIGHT_FORK_MM = (-16.0, 4.0, 5.0)
"""Of the portal bifurcation to the fork of its right branch."""

ANGLE_DEG = {Name.RIGHT_VEIN: 81.0, Name.MIDDLE_VEIN: 27.0, Name.LEFT_VEIN: -42.0}
"""Of a hepatic vein's course about the IVC, from straight ahead towards the patient's right."""
ANGLE_SPREAD_DEG = {Name.RIGHT_VEIN: 9.0, Name.MIDDLE_VEIN: 9.0, Name.LEFT_VEIN: 9.0}
ANGLE_WINDOW_DEG = {
    Name.RIGHT_VEIN: (58.0, 112.0),
    Name.MIDDLE_VEIN: (4.0, 54.0),
    Name.LEFT_VEIN: (-75.0, -12.0),
}
VEIN_MM = {Name.RIGHT_VEIN: (49.0, 67.0), Name.MIDDLE_VEIN: (57.0, 50.0), Name.LEFT_VEIN: (80.0, 31.0)}
"""Of the middle of its course: how far from the IVC's line, how far below the confluence."""
VEIN_SPREAD_MM = 18.0
UNSEEN_MM = {Name.RIGHT_VEIN: 9.0, Name.MIDDLE_VEIN: 0.0, Name.LEFT_VEIN: 0.0}
"""By which the middle of its course lies below the middle of what is seen of it: the lower, thin end often is
not. The plane through it does not turn by that."""
UNSEEN_LEFT = (-5.0, 6.0)
"""Degrees and mm by which the left vein's lies farther left and farther out, as its end often is not seen."""
COURSE_MM = (18.0, 100.0)
"""Distance from the IVC at which a vein's course is read."""
BEYOND_FOSSA_DEG = 2.0
"""By which the plane of the middle hepatic vein lies farther right than the gallbladder's fossa."""

CAUDATE_FRONT_MM = (8.0, 0.0)
"""Its front lies so far behind the bifurcation, and of the IVC's middle where the hepatic veins enter."""
CAUDATE_SLOPE = -0.32
"""How its front turns forwards towards the left."""
CAUDATE_SIDES_MM = (-14.0, 17.0, 36.0)
"""From the IVC's middle to its right side, from the umbilical bend to its left one, and that from the IVC at
least."""
CAUDATE_ENDS_MM = (14.0, 18.0)
"""It reaches so far below the bifurcation, and up to so far below the hepatic veins' confluence."""
CAUDATE_PROCESS_MM = (26.0, 6.0)
"""It reaches so far below the bifurcation, so far behind its front: left of the IVC's middle, and in front
of the IVC, where its right side tapers from the lobe's to the IVC's middle."""
CAUDATE_BEHIND_MM = 29.0
"""It reaches so far behind the IVC's middle."""

LATERAL_UP = (0.66, 0.75)
"""Backwards and upwards: the direction in which II lies of III."""
BEHIND_DEG = -120.0
"""Beyond this angle what lies behind the IVC is the right liver's."""
HALF_SPREAD_MM = 12.0
"""How uncertain it is that II and III are of one size."""
STEEPEST = 0.6
"""Of the umbilical fissure against straight ahead."""
