"""`python -m headwater`: the same program as the command `headwater`."""

import sys

from headwater.repl.main import main

if __name__ == "__main__":
    sys.exit(main())
