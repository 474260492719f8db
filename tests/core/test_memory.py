"""What is loaded at the start is out of the garbage collector's sight, and later garbage is not."""

import subprocess
import sys

PROGRAM = """
import gc, weakref
from core.memory import freeze_what_stays

class Thing:
    pass

def ring():
    one, two = Thing(), Thing()
    one.other, two.other = two, one
    return weakref.ref(one)

gc.disable()
early = ring()
kept = [Thing() for _ in range(1000)]
freeze_what_stays()
assert early() is None, "garbage from before is collected, not kept"
assert gc.get_freeze_count() > 1000
assert not any(isinstance(thing, Thing) for thing in gc.get_objects())
late = ring()
gc.collect()
assert late() is None, "garbage from after is collected"
print("well")
"""


def test_a_full_collection_passes_over_what_was_there_at_the_start() -> None:
    # In a process of its own: what is frozen stays so.
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.strip() == "well", done.stderr
