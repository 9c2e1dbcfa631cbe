"""SynthLiver-1: a benchmark of synthetic livers that everybody can make, the same everywhere.

Three parts, all from fixed seeds and procedural bodies: `volumes` (whole abdominal CTs with masks), `slices`
(key slices with boxes, laid out like DeepLesion) and `classes` (arterial slices of five classes, as in the
DADRN study). :mod:`.plan` says what each patient is, :mod:`.case` draws it, :mod:`.volumes`, :mod:`.slices`
and :mod:`.classes` write it, :mod:`.build` makes the whole with several processes, :mod:`.checksums` compares
it with what is recorded.
"""
