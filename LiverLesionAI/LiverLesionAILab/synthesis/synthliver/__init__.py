"""SynthLiver-1 and SynthLiver-2: benchmarks of synthetic livers that everybody can make, the same everywhere.

SynthLiver-1 has three parts, all from fixed seeds and procedural bodies: `volumes` (whole abdominal CTs with
masks), `slices` (key slices with boxes, laid out like DeepLesion) and `classes` (arterial slices of five
classes, as in the DADRN study). :mod:`.plan` says what each patient is, :mod:`.case` draws it,
:mod:`.volumes`, :mod:`.slices` and :mod:`.classes` write it, :mod:`.build` makes the whole with several
processes, :mod:`.checksums` compares it with what is recorded.

SynthLiver-2 judges classes: 60 patients, each scanned in three or four contrast phases. Its densities come
from :mod:`.kinetics`, apart from the ranges that training draws from; :mod:`.habits` says what the lesions
are made of, :mod:`.multiphase_plan` what each patient is, :mod:`.multiphase_lesions` and :mod:`.multiphase`
draw it.
"""
