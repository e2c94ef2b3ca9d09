"""`python -m crew_runtime.worker`: the zygote. With the argument `child`: a spawned child, made by a zygote."""

import sys

from crew_runtime.worker import main

if __name__ == "__main__":
    sys.exit(main.main(sys.argv[1:]))
