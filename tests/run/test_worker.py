"""What does a worker load before its first task?"""

import subprocess
import sys

UNUSED = ("prompt_toolkit", "click_repl")  # Celery's own command has a shell: 12 MB


def test_a_worker_loads_no_shell():
    code = "import sys, run.worker; print(*sys.modules, sep='\\n')"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not set(UNUSED) & set(told.stdout.split())
