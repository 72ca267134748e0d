"""Renews tests/areas.json from results of ``trisign bench``.

``python tools/record_areas.py build/bench/RESULT.json [RESULT.json ...]``: later ones win; areas
that none of them has stay.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from trisign.fpga.bench_record import RECORD, areas, recorded


def main(paths: list[str]) -> int:
    if not paths:
        print(__doc__, file=sys.stderr)
        return 2
    before = recorded() if RECORD.exists() else {}
    record = dict(before)
    for path in paths:
        try:
            record |= areas(json.loads(Path(path).read_text()))
        except (OSError, ValueError, KeyError) as error:
            print(f"{path} must be a result of trisign bench: {error}", file=sys.stderr)
            return 2
    RECORD.write_text(json.dumps(record, indent=2) + "\n")
    for name, luts in record.items():
        if before.get(name) != luts:
            print(f"{name}: {before.get(name, 'new')} -> {luts}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
