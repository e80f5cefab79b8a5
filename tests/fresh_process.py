"""What a command imports when it is the first thing an interpreter does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def modules_loaded_by(*args: str, folder: Path) -> tuple[int, set[str]]:
    """Exit code of `clipft ARGS` in a fresh interpreter, and the roots of what it imported."""
    script = (
        "import json, sys\n"
        "from clipft_cli.cli.app import main\n"
        f"sys.argv = ['clipft', *{args!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    code = end.code\n"
        "roots = sorted({name.split('.')[0] for name in sys.modules})\n"
        "open('loaded.json', 'w').write(json.dumps([code, roots]))\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=folder, check=True, capture_output=True, timeout=60)
    code, names = json.loads((folder / "loaded.json").read_text())
    return code or 0, set(names)
